//go:build e2e && linux

package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/programs"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// apart is an engine that is reached in another way than by a socket of this
// machine, or does not reach this machine.
type apart struct {
	name     string
	programs []string
	start    func(t *testing.T, store servers.Store) (e *servers.Engine, env []string)
	// reaches: its 127.0.0.1 is this machine's, which nobody can know.
	reaches bool
	// told: that it is not shows only as the engine pushes.
	told bool
}

// TestWideEngines pushes from engines as they run elsewhere. Their 127.0.0.1 is
// not this machine's, or one cannot know: so their images are exported.
func TestWideEngines(t *testing.T) {
	wide(t)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, a := range []apart{
		{"rootless", []string{"rootlesskit", "slirp4netns"}, startRootless, false, false},
		{"in another network, as a virtual machine's", nil, startOwnNetwork, false, true},
		{"over TLS, with client certificates", nil, startOverTLS, true, false},
		{"over ssh", []string{"sshd"}, startOverSSH, true, false},
	} {
		for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
			t.Run(a.name+", "+string(store), func(t *testing.T) {
				daemon := map[servers.Store]string{servers.Classic: "debian-dockerd", servers.Containerd: "dockerd"}[store]
				attest(t, "engine", "dockerd "+a.name+", "+string(store)+" store", "pushes an image, and one layer more", append([]string{daemon}, a.programs...)...)
				e, env := a.start(t, store)
				a.pushes(t, plugin, e, env)
			})
		}
	}
}

// pushes sends an image of the engine as a client with env does.
func (a apart) pushes(t *testing.T, plugin string, e *servers.Engine, env []string) {
	t.Helper()
	g := gitea(t)
	name := newUser(t, g)
	token, err := g.CreateToken(t.Context(), name, "write:package")
	servers.Need(t, err)
	dir := samples.BuildContext(t, 47, 3_000_000)
	tag := name + "/app:1"
	servers.Need(t, e.Build(t.Context(), tag, dir))
	env = append(e.Env(), append(env, "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)...)
	push := func(way, to string) (string, time.Duration, error) {
		cmd := exec.CommandContext(t.Context(), plugin, "gitea", "push", "--progress", "plain", "--via", way, tag, g.Host+"/"+name+"/"+to)
		cmd.Env = env
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		return string(out), time.Since(begin), err
	}
	arrived := func(to string) {
		ref := g.Host + "/" + name + "/" + to
		assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, ref), pullWithSkopeo(t, g.Server, name, ref))
	}
	// First, as what is known of an image needs nobody to push it.
	if out, _, err := push("daemon", "pushed:1"); a.reaches {
		servers.Need(t, err)
		arrived("pushed:1")
	} else if err == nil || !strings.Contains(out, "it does not reach 127.0.0.1 of this machine") || !strings.Contains(out, "hint: --via export") {
		t.Errorf("--via daemon: %v: %s", err, out)
	}
	out, exported, err := push("export", "exported:1")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	arrived("exported:1")
	addLayer(t, dir)
	servers.Need(t, e.Build(t.Context(), tag, dir))
	out, took, err := push("auto", "app:1")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("exported in %s, a layer more by itself in %s: %s", exported.Round(time.Millisecond), took.Round(time.Millisecond), out)
	arrived("app:1")
	if n := strings.Count(out, "the daemon cannot push: it does not reach"); (n == 1) != a.told || n > 1 {
		t.Errorf("why it does not go through the daemon was said %d times", n)
	}
}

func startApart(t *testing.T, store servers.Store, opts servers.EngineOptions) *servers.Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("name spaces need root")
	}
	e, err := servers.StartEngine(t.Context(), store, opts)
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, e.Stop) })
	return e
}

func startRootless(t *testing.T, store servers.Store) (e *servers.Engine, env []string) {
	t.Helper()
	program(t, "rootlesskit")
	program(t, "newuidmap")
	return startApart(t, store, servers.EngineOptions{Rootless: true}), nil
}

func startOwnNetwork(t *testing.T, store servers.Store) (e *servers.Engine, env []string) {
	t.Helper()
	return startApart(t, store, servers.EngineOptions{OwnNetwork: true}), nil
}

// startOverTLS has the engine listen on a port, for who has its certificate.
func startOverTLS(t *testing.T, store servers.Store) (e *servers.Engine, env []string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	run(t, []string{"PATH=" + os.Getenv("PATH")}, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file("key.pem"), "-out", file("cert.pem"))
	samples.WriteFile(t, file("ca.pem"), []byte(readText(t, file("cert.pem"))))
	address := "tcp://" + freeAddress(t)
	e = startApart(t, store, servers.EngineOptions{Args: []string{
		"--host", address, "--tlsverify", "--tlscacert", file("ca.pem"), "--tlscert", file("cert.pem"), "--tlskey", file("key.pem"),
	}})
	return e, []string{"DOCKER_HOST=" + address, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=" + dir}
}

// startOverSSH has an ssh server lead to the engine, for who has the key.
func startOverSSH(t *testing.T, store servers.Store) (e *servers.Engine, env []string) {
	t.Helper()
	sshd := program(t, "sshd")
	e = startApart(t, store, servers.EngineOptions{})
	dir, address := t.TempDir(), freeAddress(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "user"} {
		run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file(key))
	}
	_, port, err := net.SplitHostPort(address)
	servers.Need(t, err)
	for name, lines := range map[string][]string{
		"sshd_config": {
			"ListenAddress " + address, "HostKey " + file("host"), "AuthorizedKeysFile " + file("user.pub"),
			"PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin prohibit-password",
			"SetEnv DOCKER_HOST=" + e.Host() + " PATH=" + filepath.Dir(program(t, "docker")) + ":/usr/bin:/bin",
		},
		"ssh_config": {
			"IdentityFile " + file("user"), "IdentitiesOnly yes", "UserKnownHostsFile " + file("known_hosts"), "StrictHostKeyChecking yes",
		},
		"known_hosts": {"[127.0.0.1]:" + port + " " + readText(t, file("host.pub"))},
	} {
		samples.WriteFile(t, file(name), []byte(strings.Join(lines, "\n")+"\n"))
	}
	startSSHD(t, sshd, file("sshd_config"), address)
	// What docker calls reads the settings of the user's home, whatever HOME says.
	bin := t.TempDir()
	programs.Write(t, filepath.Join(bin, "ssh"), fmt.Sprintf("#!/bin/sh\nexec /usr/bin/ssh -F %q \"$@\"\n", file("ssh_config")))
	return e, []string{"DOCKER_HOST=ssh://root@" + address, "PATH=" + bin + ":" + os.Getenv("PATH")}
}

// startSSHD starts the server with a /run of its own, in which it wants a folder.
func startSSHD(t *testing.T, sshd, config, address string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-ec", `mount -t tmpfs none /run && mkdir /run/sshd && exec "$0" -D -e -f "$1"`, sshd, config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	servers.Need(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	servers.Need(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			t.Logf("sshd: %s", readText(t, log))
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}

// freeAddress is one that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	defer l.Close()
	return l.Addr().String()
}
