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

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
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

// TestWidePodmanFormats pushes what podman saves, in each of its formats, from a file, a
// directory or a pipe, to a Gitea, and compares the layers with podman's.
func TestWidePodmanFormats(t *testing.T) {
	wide(t)
	attest(t, "engine", "podman", "pushes what `podman save` writes, in every format", "podman")
	p, g := startPodman(t), gitea(t)
	name := newUser(t, g)
	archive := filepath.Join(t.TempDir(), "app.tar")
	samples.WriteFile(t, archive, layeredArchive(t, 7, 7))
	_, id, _ := strings.Cut(p.run(t, "load", "--quiet", "--input", archive), "sha256:")
	p.run(t, "tag", strings.TrimSpace(id), "app:dev")
	want := strings.TrimSpace(p.run(t, "image", "inspect", "--format", "{{json .RootFS.Layers}}", "app:dev"))
	for _, format := range []string{"docker-archive", "oci-archive", "docker-dir", "oci-dir"} {
		saved := filepath.Join(t.TempDir(), "saved")
		p.run(t, "save", "--quiet", "--format", format, "--output", saved, "app:dev")
		form, _, _ := strings.Cut(format, "-")
		prefix := map[string]string{"docker-archive": "docker-archive:", "oci-archive": "oci-archive:", "docker-dir": "dir:", "oci-dir": "oci:"}[format]
		for source, stdin := range map[string]string{saved: "", prefix + saved: "", "-": saved} {
			if source == "-" && strings.HasSuffix(format, "dir") {
				continue
			}
			t.Run(format+", "+strings.ReplaceAll(source, saved, "FILE"), func(t *testing.T) {
				ref := g.Host + "/" + name + "/" + form + ":1"
				pushImage(t, g, name, source, ref, stdin)
				if format == "docker-dir" { // its layers are raw, and crane validates gzip alone
					pullWithSkopeo(t, g.Server, name, ref)
				} else {
					pull(t, g.Server, name, servers.AdminPassword, ref)
				}
				if got := diffIDsOf(t, g, name, ref); got != want {
					t.Errorf("got the layers %s, want %s", got, want)
				}
			})
		}
	}
}

// pushImage pushes a SOURCE, which standard input may be, as its owner.
func pushImage(t *testing.T, g *servers.Gitea, owner, source, ref, stdin string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(pluginDir(t), "docker-gitea"), "push", source, ref)
	env, err := g.Env(t.TempDir(), owner, servers.AdminPassword)
	servers.Need(t, err)
	cmd.Env = env
	if stdin != "" {
		file, err := os.Open(stdin)
		servers.Need(t, err)
		defer file.Close()
		cmd.Stdin = file
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// diffIDsOf are the layers in the config of an image of Gitea, as JSON.
func diffIDsOf(t *testing.T, g *servers.Gitea, user, ref string) string {
	t.Helper()
	env, err := g.Env(t.TempDir(), user, servers.AdminPassword)
	servers.Need(t, err)
	config := decode[ocispec.Image](t, []byte(run(t, env, program(t, "crane"), "config", ref)))
	return string(samples.Encoded(t, config.RootFS.DiffIDs))
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

// run returns what it prints on standard output.
func (p *podman) run(t *testing.T, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := p.command(t.Context(), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("podman %q: %v: %s", args, err, stderr.String())
	}
	return string(out)
}
