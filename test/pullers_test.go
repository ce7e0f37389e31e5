//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// clinic has a self-signed Gitea with one image, and a machine whose programs
// pull it: they see another /etc than this one.
type clinic struct {
	plugin, etc, ca string
	desk            *desk
	// host is a name of this machine that no program takes for it; ref is the image.
	host, ref string
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	g := gitea(t)
	user := newUser(t, g)
	mustPush(t, newClient(t, g.Server, userAuth(user), nil), user+"/app:1", stacked(t, 1000, 90), client.PushOptions{})
	_, port, _ := strings.Cut(g.Host, ":")
	c := &clinic{
		plugin: filepath.Join(pluginDir(t), "docker-gitea"), etc: t.TempDir(), ca: g.CAFile,
		desk: newDesk(t, g.Server, "SSL_CERT_FILE=/dev/null"), host: "gitea.localtest.me:" + port,
	}
	c.ref = c.host + "/" + user + "/app:1"
	run(t, nil, "cp", "--archive", "/etc/.", c.etc)
	samples.WriteFile(t, filepath.Join(c.etc, "hosts"), []byte("127.0.0.1 localhost gitea.localtest.me\n"))
	c.desk.run(t, "", c.plugin, "trust", c.host, g.CAFile)
	return c
}

// within runs a program that sees the machine's /etc.
func (c *clinic) within(t *testing.T, stdin string, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-ec", `mount --bind "$0" /etc && exec "$@"`, c.etc}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// cures pulls with a program that does not trust the certificate, has it trust
// that as `trust --print` says, and pulls again.
func (c *clinic) cures(t *testing.T, program string, pull func() (string, error)) {
	t.Helper()
	if out, err := pull(); err == nil || !strings.Contains(out+err.Error(), "x509: certificate signed by unknown authority") {
		t.Errorf("before: got %v: %s", err, out)
	}
	script := c.desk.run(t, "", c.plugin, "trust", "--print", program, c.host)
	for range 2 { // it may run again
		if out, err := c.within(t, script, nil, "sh"); err != nil || out != "" {
			t.Fatalf("%v: %s\n%s", err, out, script)
		}
	}
	if out, err := pull(); err != nil {
		t.Errorf("after: %v: %s", err, out)
	}
}

func (c *clinic) engine(t *testing.T) *servers.Engine {
	t.Helper()
	e, err := servers.StartEngine(t.Context(), servers.Containerd, servers.EngineOptions{Etc: c.etc})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, e.Stop) })
	return e
}

// TestPullersTrust has dockerd, its BuildKit, and skopeo pull from a Gitea
// whose certificate was pinned.
func TestPullersTrust(t *testing.T) { //nolint:tparallel // each part changes /etc of its own name space, and starts an engine
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("another /etc needs root")
	}
	t.Run("docker", func(t *testing.T) {
		attest(t, "engine", "dockerd and its BuildKit", "pulls and builds after `trust --print docker`", "dockerd", "docker-buildx")
		c := newClinic(t)
		e := c.engine(t)
		c.cures(t, "docker", func() (string, error) { return e.Run(t.Context(), "pull", c.ref) })
		_, err := e.Run(t.Context(), "image", "rm", c.ref)
		servers.Need(t, err)
		servers.Need(t, e.InstallPlugin(program(t, "docker-buildx")))
		dir := t.TempDir()
		samples.WriteFile(t, filepath.Join(dir, "Dockerfile"), []byte("FROM "+c.ref+"\nCOPY Dockerfile /\n"))
		env := append(e.Env(), "SSL_CERT_FILE=/etc/docker/certs.d/"+c.host+"/ca.crt")
		if out, err := c.within(t, "", env, program(t, "docker"), "buildx", "build", "--load", "--tag", "built:1", dir); err != nil {
			t.Errorf("BuildKit: %v: %s", err, out)
		}
	})
	t.Run("skopeo", func(t *testing.T) {
		attest(t, "engine", "skopeo", "reads after `trust --print podman`", "skopeo")
		c := newClinic(t)
		skopeo := program(t, "skopeo")
		c.cures(t, "podman", func() (string, error) { return c.within(t, "", nil, skopeo, "inspect", "--raw", "docker://"+c.ref) })
	})
	t.Run("k3s and BuildKit", func(t *testing.T) {
		c := newClinic(t)
		for name, file := range map[string]string{"k3s": "rancher/k3s/registries.yaml", "buildkit": "buildkit/buildkitd.toml"} {
			script := c.desk.run(t, "", c.plugin, "trust", "--print", name, c.host)
			file = filepath.Join(c.etc, file)
			servers.Need(t, os.MkdirAll(filepath.Dir(file), 0o700))
			samples.WriteFile(t, file, []byte("# mine\n"))
			out, err := c.within(t, script, nil, "sh")
			if err == nil || !strings.Contains(out, "is there already; add to it:\n") || !strings.Contains(out, c.host) {
				t.Errorf("%s, with a file of one's own: got %v: %s", name, err, out)
			}
			if content, err := os.ReadFile(file); err != nil || string(content) != "# mine\n" {
				t.Errorf("%s: the file is now %q, %v", name, content, err)
			}
			servers.Need(t, os.Remove(file))
			for range 2 {
				if out, err := c.within(t, script, nil, "sh"); err != nil {
					t.Errorf("%s: %v: %s", name, err, out)
				}
			}
			if content, err := os.ReadFile(file); err != nil || strings.Count(string(content), c.host) < 2 {
				t.Errorf("%s: the file is %q, %v", name, content, err)
			}
		}
	})
}

// builds has a BuildKit build that has just read its settings. The client gets
// the token for it, and trusts the certificate.
func (c *clinic) builds(t *testing.T, dir string) (string, error) {
	t.Helper()
	b, err := servers.StartBuildKit(t.Context(), servers.BuildKitOptions{Etc: c.etc})
	servers.Need(t, err)
	defer stop(t, b.Stop)
	buildx, env := program(t, "docker-buildx"), []string{"BUILDX_CONFIG=" + t.TempDir(), "SSL_CERT_FILE=" + c.ca}
	if out, err := c.within(t, "", env, buildx, "create", "--driver=remote", "--name=kit", b.Address()); err != nil {
		return out, err
	}
	return c.within(t, "", env, buildx, "build", "--builder=kit", "--progress=plain", dir)
}

// TestWidePullersTrust is TestPullersTrust with podman, containerd and a BuildKit
// of its own.
func TestWidePullersTrust(t *testing.T) {
	wide(t)
	t.Run("podman", func(t *testing.T) {
		attest(t, "engine", "podman", "pulls after `trust --print podman`", "podman")
		c := newClinic(t)
		podman, dir := program(t, "podman"), t.TempDir()
		c.cures(t, "podman", func() (string, error) {
			return c.within(t, "", nil, podman, "--root="+dir+"/root", "--runroot="+dir+"/run", "--storage-driver=vfs", "pull", "--quiet", c.ref)
		})
	})
	t.Run("BuildKit", func(t *testing.T) {
		attest(t, "builder", "BuildKit", "builds after `trust --print buildkit`", "buildkitd", "docker-buildx")
		c, dir := newClinic(t), t.TempDir()
		samples.WriteFile(t, filepath.Join(dir, "Dockerfile"), []byte("FROM "+c.ref+"\nCOPY Dockerfile /\n"))
		c.cures(t, "buildkit", func() (string, error) { return c.builds(t, dir) })
	})
	t.Run("containerd", func(t *testing.T) {
		attest(t, "engine", "containerd", "pulls after `trust --print containerd`", "ctr")
		c := newClinic(t)
		e, ctr := c.engine(t), program(t, "ctr")
		c.cures(t, "containerd", func() (string, error) {
			return c.within(t, "", nil, ctr, "--address="+e.Containerd(), "images", "pull", "--hosts-dir=/etc/containerd/certs.d",
				"--platform=linux/"+runtime.GOARCH, c.ref)
		})
	})
}
