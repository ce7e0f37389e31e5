//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// startName is the section about starting.
const startName = "starting"

// starts compares what every use of the plugin pays: docker asks it for its
// metadata, and then starts it.
func starts(ctx context.Context, ours, dir string) (string, error) {
	docker, err := servers.Program("docker")
	if err != nil {
		return "", err
	}
	config := filepath.Join(dir, "start")
	plugins := filepath.Join(config, "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return "", err
	}
	if err := os.Symlink(ours, filepath.Join(plugins, "docker-gitea")); err != nil {
		return "", err
	}
	info, err := os.Stat(ours)
	if err != nil {
		return "", err
	}
	commands := [][]string{
		{"/bin/true"},
		{ours, "docker-cli-plugin-metadata"},
		{docker, "version", "--format", "{{.Client.Version}}"},
		{docker, "gitea", "--help"},
	}
	const rounds = 21
	results := make([][]measure, len(commands))
	for range rounds {
		for i, args := range commands {
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			// docker version ends with an error where there is no daemon.
			cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+config, "DOCKER_HOST=unix:///nowhere")
			begin := time.Now()
			_ = cmd.Run()
			results[i] = append(results[i], measure{wall: time.Since(begin)})
		}
	}
	wall := func(i int) time.Duration {
		return median(results[i], func(m measure) time.Duration { return m.wall })
	}
	return fmt.Sprintf(`### %s

Expected: the answer to docker's question for metadata within 10 ms, "docker gitea --help" within 60 ms, at most 15 MB.

| | wall | ÷ |
|---|---|---|
| docker-gitea docker-cli-plugin-metadata | %.1f ms | %.1f of /bin/true |
| docker gitea --help | %.1f ms | %.1f of docker version without a daemon |

The program has %.1f MB.
`, startName, wall(1).Seconds()*1e3, wall(1).Seconds()/wall(0).Seconds(),
		wall(3).Seconds()*1e3, wall(3).Seconds()/wall(2).Seconds(), megabytes(info.Size())), nil
}
