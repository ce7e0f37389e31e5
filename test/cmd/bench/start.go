//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// startName is the section about starting.
const startName = "starting"

// smallest is a program that does next to nothing.
const smallest = "package main\n\nfunc main() { println() }\n"

// starts compares what every use of the plugin pays, docker asking it for its
// metadata and then starting it, with docker's own plugin for builds and with
// what any program in Go takes.
func starts(ctx context.Context, ours, dir string) (string, error) {
	docker, err := servers.Program("docker")
	if err != nil {
		return "", err
	}
	buildx, err := servers.Program("docker-buildx")
	if err != nil {
		return "", err
	}
	least, err := buildSmallest(ctx, dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(ours)
	if err != nil {
		return "", err
	}
	withOurs, err := configWith(dir, "docker-gitea", ours)
	if err != nil {
		return "", err
	}
	withBuildx, err := configWith(dir, "docker-buildx", buildx)
	if err != nil {
		return "", err
	}
	table := []struct {
		name   string
		config string
		args   []string
		of     int // the row that it is compared with
	}{
		{"docker-gitea docker-cli-plugin-metadata", "", []string{ours, "docker-cli-plugin-metadata"}, 1},
		{"docker-buildx docker-cli-plugin-metadata", "", []string{buildx, "docker-cli-plugin-metadata"}, 1},
		{"a Go program that does nothing", "", []string{least}, 1},
		{"docker gitea --help", withOurs, []string{docker, "gitea", "--help"}, 4},
		{"docker buildx --help", withBuildx, []string{docker, "buildx", "--help"}, 4},
		{"docker version, without a daemon", withOurs, []string{docker, "version", "--format", "{{.Client.Version}}"}, 4},
	}
	const rounds = 21
	results := make([][]measure, len(table))
	for range rounds {
		for i, row := range table {
			cmd := exec.CommandContext(ctx, row.args[0], row.args[1:]...)
			cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+row.config, "DOCKER_HOST=unix:///nowhere")
			begin := time.Now()
			_ = cmd.Run() // docker version ends with an error where there is no daemon
			results[i] = append(results[i], measure{wall: time.Since(begin)})
		}
	}
	wall := func(i int) float64 {
		return median(results[i], func(m measure) time.Duration { return m.wall }).Seconds()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\nExpected: the answer to docker's question for metadata within 10 ms, \"docker gitea --help\" within 60 ms, at most 15 MB.\n\n", startName)
	fmt.Fprintf(&b, "| | wall | ÷ docker-buildx |\n|---|---|---|\n")
	for i, row := range table {
		fmt.Fprintf(&b, "| %s | %.1f ms | %.2f |\n", row.name, wall(i)*1e3, wall(i)/wall(row.of))
	}
	fmt.Fprintf(&b, "\nThe program has %.1f MB.\n", megabytes(info.Size()))
	if wall(0) > 0.010 || wall(3) > 0.060 {
		fmt.Fprintf(&b, "\nMissed on this machine, where a Go program that does nothing takes %.1f ms, and docker by itself %.1f ms.\n", wall(2)*1e3, wall(5)*1e3)
	}
	return b.String(), nil
}

func buildSmallest(ctx context.Context, dir string) (string, error) {
	source, program := filepath.Join(dir, "smallest.go"), filepath.Join(dir, "smallest")
	if err := os.WriteFile(source, []byte(smallest), 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", program, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the smallest program: %w: %s", err, out)
	}
	return program, nil
}

// configWith makes a folder for docker's configuration that has one plugin.
func configWith(dir, name, program string) (string, error) {
	config := filepath.Join(dir, "config-"+name)
	if err := os.MkdirAll(filepath.Join(config, "cli-plugins"), 0o700); err != nil {
		return "", err
	}
	return config, os.Symlink(program, filepath.Join(config, "cli-plugins", name))
}
