//go:build e2e

package test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/samples"
)

// TestWidePodman has podman stand in for the docker daemon. It calls what has no
// registry "localhost/…", and pushes with TLS alone.
func TestWidePodman(t *testing.T) {
	wide(t)
	attest(t, "engine", "podman", "pushes what podman has, by its socket and from its archives", "podman")
	p := startPodman(t)
	files := filepath.Join(t.TempDir(), "files.tar")
	samples.WriteFile(t, files, layeredArchive(t, 9, 9))
	for _, tag := range []string{"dev", "1"} {
		p.run(t, "import", "--quiet", files, "app:"+tag)
	}
	archive := filepath.Join(t.TempDir(), "app.tar")
	p.run(t, "save", "--quiet", "--output", archive, "--multi-image-archive", "app:dev", "app:1")
	server := registrytest.Start(t, registrytest.Config{})
	push := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(pluginDir(t), "docker-gitea"), append([]string{"push"}, args...)...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin", "DOCKER_HOST=unix://" + p.socket, "DOCKER_GITEA_HOST=" + server.Host, "DOCKER_GITEA_TOKEN=" + registrytest.Token, "DOCKER_GITEA_CA_FILE=" + server.CAFile}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"a name without a registry":     {[]string{"app:dev", "alice/plain:1"}, []string{"1: digest: sha256:"}},
		"podman's own name":             {[]string{"localhost/app:dev", "alice/own:1"}, []string{"1: digest: sha256:"}},
		"all tags":                      {[]string{"-a", "app", "alice/all"}, []string{"dev: digest: sha256:", "1: digest: sha256:"}},
		"an image of an archive":        {[]string{"--image", "app:dev", archive, "alice/archived:1"}, []string{"1: digest: sha256:"}},
		"its name in the archive":       {[]string{"--image", "localhost/app:1", archive, "alice/archived:2"}, []string{"2: digest: sha256:"}},
		"by podman's own push, refused": {[]string{"--via", "daemon", "app:dev", "alice/via:1"}, []string{"podman", "TLS", "hint: --via export"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := push(test.args...)
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in (%v)\n%s", want, err, out)
				}
			}
		})
	}
}

// podman is one with a storage and a socket of its own.
type podman struct {
	program, dir, socket string
}

func startPodman(t *testing.T) *podman {
	t.Helper()
	dir, err := os.MkdirTemp("", "podman-") //nolint:usetesting // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	p := &podman{program: program(t, "podman"), dir: dir, socket: filepath.Join(dir, "podman.sock")}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	service := p.command(ctx, "system", "service", "--time=0", "unix://"+p.socket)
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = service.Wait() }) // it is killed
	for end := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("unix", p.socket)
		if err == nil {
			_ = conn.Close()
			return p
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (p *podman) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, p.program, append([]string{"--root=" + p.dir + "/root", "--runroot=" + p.dir + "/run", "--storage-driver=vfs"}, args...)...)
}

func (p *podman) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := p.command(t.Context(), args...).CombinedOutput(); err != nil {
		t.Fatalf("podman %q: %v: %s", args, err, out)
	}
}
