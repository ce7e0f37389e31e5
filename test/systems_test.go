//go:build e2e && linux

package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// buildFor builds both programs for another system or processor, and returns
// their directory.
func buildFor(t *testing.T, goos, goarch string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags=nethttpomithttp2", "-ldflags=-s -w -X main.version=1.2.3", "-o", dir+"/", "../cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build for %s/%s: %v: %s", goos, goarch, err, out)
	}
	return dir
}

// processors are those that the programs are released for, other than that of
// most tests, with what runs their programs. s390x puts the high byte first.
var processors = map[string]string{"arm64": "qemu-aarch64", "riscv64": "qemu-riscv64", "s390x": "qemu-s390x"}

// TestWideProcessors pushes from every kind of source as each processor does: the
// digests are those of this one. The credential helper keeps what it is given.
func TestWideProcessors(t *testing.T) {
	wide(t)
	g := gitea(t)
	user := newUser(t, g)
	sources := everySource(t)
	want := map[string]string{}
	here := pluginDir(t)
	for name, s := range sources {
		want[name] = s.push(t, g, user, "here-"+name, filepath.Join(here, "docker-gitea"))
	}
	for arch, emulator := range processors {
		t.Run(arch, func(t *testing.T) {
			attest(t, "processor", arch, "pushes from every kind of source, and keeps a login", "qemu-s390x")
			dir := buildFor(t, "linux", arch)
			run := program(t, emulator)
			for name, s := range sources {
				if got := s.push(t, g, user, arch+"-"+name, run, filepath.Join(dir, "docker-gitea")); got != want[name] {
					t.Errorf("%s: got %s, want %s", name, got, want[name])
				}
			}
			keepsLogin(t, run, filepath.Join(dir, credhelperName))
		})
	}
}

// source is something to push from.
type source struct {
	word  string
	stdin string // the file that comes through standard input
	env   []string
}

// everySource is one image as each kind of source.
func everySource(t *testing.T) map[string]source {
	t.Helper()
	dir, files := samples.Layout(t, 77, 300_000), t.TempDir()
	file := func(name string) string { return filepath.Join(files, name) }
	system := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + files}
	run(t, system, "tar", "-C", dir, "-cf", file("layout.tar"), ".")
	skopeo := program(t, "skopeo")
	for _, to := range []string{"docker-archive:" + file("docker.tar") + ":app:1", "dir:" + file("dir")} {
		run(t, system, skopeo, "--insecure-policy", "copy", "oci:"+dir, to)
	}
	sources := map[string]source{
		"layout":         {word: dir},
		"oci-archive":    {word: file("layout.tar")},
		"docker-archive": {word: file("docker.tar")},
		"dir":            {word: "dir:" + file("dir")},
		"stdin":          {word: "-", stdin: file("docker.tar")},
	}
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		e := engine(t, store)
		servers.Need(t, e.Build(t.Context(), "systems:1", samples.BuildContext(t, 78, 300_000)))
		for _, via := range []string{"export", "daemon"} {
			sources[string(store)+"-"+via] = source{word: "systems:1", env: []string{"DOCKER_HOST=" + e.Host(), "DOCKER_GITEA_VIA=" + via}}
		}
	}
	return sources
}

// push pushes as a user does who has docker's login alone, and returns the
// digest.
func (s source) push(t *testing.T, g *servers.Gitea, user, image string, command ...string) string {
	t.Helper()
	env, err := g.Env(t.TempDir(), user, servers.AdminPassword)
	servers.Need(t, err)
	cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], "push", "--quiet", s.word, g.Host+"/"+user+"/"+image+":1")...)
	cmd.Env = append(env, append(s.env, "XDG_CACHE_HOME="+t.TempDir())...)
	if s.stdin != "" {
		f, err := os.Open(s.stdin)
		servers.Need(t, err)
		defer f.Close()
		cmd.Stdin = f
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	_, digest, found := strings.Cut(strings.TrimSpace(string(out)), "@")
	if !found {
		t.Fatalf("%s printed %q", strings.Join(cmd.Args, " "), out)
	}
	return digest
}

// keepsLogin stores a login in the credential helper's file, reads it, and
// erases it.
func keepsLogin(t *testing.T, command ...string) {
	t.Helper()
	home := t.TempDir()
	call := func(stdin, verb string) (string, error) {
		cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], verb)...)
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const host = "https://git.example.com"
	stored, err := json.Marshal(map[string]string{"ServerURL": host, "Username": "me", "Secret": "pässword"})
	servers.Need(t, err)
	if out, err := call(string(stored), "store"); err != nil {
		t.Fatalf("store: %v: %s", err, out)
	}
	var got map[string]string
	out, err := call(host, "get")
	if err = errors.Join(err, json.Unmarshal([]byte(out), &got)); err != nil || got["Username"] != "me" || got["Secret"] != "pässword" {
		t.Errorf("get: %v: %s", err, out)
	}
	if out, err := call(host, "erase"); err != nil {
		t.Errorf("erase: %v: %s", err, out)
	}
	if out, err := call(host, "get"); err == nil || !strings.Contains(out, "credentials not found") {
		t.Errorf("get what was erased: %v: %s", err, out)
	}
}

// windows is a user of a Windows that wine makes up.
type windows struct {
	dir, home string // of the programs, and of the user as Linux sees it
	env       []string
}

func newWindows(t *testing.T) *windows {
	t.Helper()
	wine := program(t, "wine64")
	// Not t.TempDir, which is removed while wine's server still writes there.
	prefix, err := os.MkdirTemp("", "wine-") //nolint:usetesting // see above
	servers.Need(t, err)
	w := &windows{
		dir: buildFor(t, "windows", "amd64"),
		env: []string{"WINEPREFIX=" + prefix, "WINEDEBUG=-all", "WINEDLLOVERRIDES=mscoree,mshtml=", "HOME=" + prefix, "PATH=" + filepath.Dir(wine) + ":" + os.Getenv("PATH"), "USER=me"},
	}
	w.env = append(w.env, "WINEPATH="+drive(w.dir)) // before %PATH%
	t.Cleanup(func() {
		for _, how := range []string{"--kill", "--wait"} {
			server := exec.Command(filepath.Join(filepath.Dir(wine), "wineserver"), how)
			server.Env = w.env
			_ = server.Run() // it fails where no server runs
		}
		os.RemoveAll(prefix)
	})
	run(t, w.env, wine, "wineboot", "--init")
	run(t, w.env, program(t, "x86_64-w64-mingw32-gcc"), "-shared", "-o", filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"), "testdata/wine/bcryptprimitives.c", "-ladvapi32")
	homes, err := filepath.Glob(filepath.Join(prefix, "drive_c/users/*/Temp"))
	servers.Need(t, err)
	if len(homes) != 1 {
		homes, err = filepath.Glob(filepath.Join(prefix, "drive_c/users/*/AppData"))
		servers.Need(t, err)
	}
	if len(homes) != 1 {
		t.Fatalf("the homes are %q", homes)
	}
	w.home = filepath.Dir(homes[0])
	return w
}

// command is a program of ours, and its arguments.
func (w *windows) command(t *testing.T, stdin io.Reader, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, "wine64"), append([]string{filepath.Join(w.dir, name+".exe")}, args...)...)
	cmd.Env, cmd.Dir, cmd.Stdin = w.env, w.home, stdin
	return cmd
}

// try runs it, and returns what it prints, without the ends of lines that are
// Windows's.
func (w *windows) try(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	out, err := w.command(t, strings.NewReader(stdin), name, args...).CombinedOutput()
	return strings.ReplaceAll(string(out), "\r\n", "\n"), err
}

// run is try for what must succeed, and print want.
func (w *windows) run(t *testing.T, stdin, want, name string, args ...string) string {
	t.Helper()
	out, err := w.try(t, stdin, name, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Errorf("%s %s: %v, want %q in:\n%s", name, strings.Join(args, " "), err, want, out)
	}
	return out
}

// drive is a path as Windows has it.
func drive(path string) string { return "Z:" + strings.ReplaceAll(path, "/", `\`) }

// TestWideWindows does with the programs for Windows what people do with them.
func TestWideWindows(t *testing.T) {
	wide(t)
	attest(t, "system", "Windows (wine)", "trust, login into the Credential Manager, configure-docker, pushes, a daemon behind a named pipe, check, erase, Ctrl-C", "wine64")
	const plugin = "docker-gitea"
	g := gitea(t)
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package", "read:user")
	servers.Need(t, err)
	w := newWindows(t)
	app := g.Host + "/" + user + "/app"

	w.run(t, "", "1.2.3", plugin, "version")
	w.run(t, "", "1.2.3", credhelperName, "version")
	if out, err := w.try(t, token, credhelperName, "login", "--with-token", g.Host); err == nil || !strings.Contains(out, "docker gitea trust "+g.Host) {
		t.Errorf("login before trust: %v: %s", err, out)
	}
	w.run(t, "", "pinned SHA-256", plugin, "trust", "--fingerprint", fingerprint(t, g.CAFile), g.Host)
	w.run(t, "", fingerprint(t, g.CAFile), plugin, "trust", "--list")
	pins, err := filepath.Glob(filepath.Join(w.home, "AppData/*/docker-gitea/*"))
	servers.Need(t, err)
	for _, pin := range pins {
		if strings.Contains(filepath.Base(pin), ":") {
			t.Errorf("the file %s has a name that no Windows takes", pin)
		}
	}

	w.run(t, token, "logged in to "+g.Host, credhelperName, "login", "--with-token", g.Host)
	w.run(t, "", user, credhelperName, "list")
	w.run(t, g.Host, token, credhelperName, "get")
	w.run(t, "", g.Host, credhelperName, "status")
	w.run(t, "", "", credhelperName, "configure-docker", g.Host)
	if config := readText(t, filepath.Join(w.home, ".docker/config.json")); !strings.Contains(config, `"`+g.Host+`": "gitea"`) {
		t.Errorf("configure-docker wrote %s", config)
	}
	servers.Need(t, os.WriteFile(filepath.Join(w.home, ".docker/gitea.yaml"), []byte("apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec:\n    jobs: 2\n"), 0o600))
	w.run(t, "", `\.docker\gitea.yaml`, plugin, "config")

	dir := samples.Layout(t, 79, 300_000)
	archive := filepath.Join(t.TempDir(), "layout.tar")
	run(t, []string{"PATH=" + os.Getenv("PATH")}, "tar", "-C", dir, "-cf", archive, ".")
	w.run(t, "", "1: digest: sha256:", plugin, "push", drive(archive), app+":1")
	w.run(t, "", "2: digest: sha256:", plugin, "push", drive(dir), app+":2")
	f, err := os.Open(archive)
	servers.Need(t, err)
	defer f.Close()
	if out, err := w.command(t, f, plugin, "push", "-", app+":3").CombinedOutput(); err != nil {
		t.Errorf("push from standard input: %v: %s", err, out)
	}
	want := blobsIn(t, filepath.Join(dir, "blobs"))
	for _, tag := range []string{"1", "2", "3"} {
		assertBlobs(t, pullBySkopeo(t, g.Server, user, servers.AdminPassword, app+":"+tag), want)
	}
	w.run(t, "", "", plugin, "check", app)
	w.pushesFromPipe(t, g, user)
	interrupted(t, w, app)

	w.run(t, g.Host, "", credhelperName, "erase")
	if out, err := w.try(t, g.Host, credhelperName, "get"); err == nil || !strings.Contains(out, "credentials not found") {
		t.Errorf("get what was erased: %v: %s", err, out)
	}
	w.run(t, "", "", plugin, "untrust", g.Host)
}

// pushesFromPipe pushes an image of a daemon behind the named pipe that is
// docker's default on Windows.
func (w *windows) pushesFromPipe(t *testing.T, g *servers.Gitea, user string) {
	t.Helper()
	address := freeAddress(t)
	e := startApart(t, servers.Containerd, servers.EngineOptions{Args: []string{"--host", "tcp://" + address, "--tls=false"}})
	tag, ref := user+"/piped:1", g.Host+"/"+user+"/piped:1"
	servers.Need(t, e.Build(t.Context(), tag, samples.BuildContext(t, 80, 3_000_000)))
	passer := filepath.Join(w.dir, "pipe.exe")
	run(t, w.env, program(t, "x86_64-w64-mingw32-gcc"), "-o", passer, "testdata/wine/pipe.c", "-lws2_32")
	_, port, err := net.SplitHostPort(address)
	servers.Need(t, err)
	pipe := w.command(t, nil, "pipe", `\\.\pipe\docker_engine`, port)
	listening, err := pipe.StdoutPipe()
	servers.Need(t, err)
	servers.Need(t, pipe.Start())
	t.Cleanup(func() { _, _ = pipe.Process.Kill(), pipe.Wait() })
	if _, err := listening.Read(make([]byte, 1)); err != nil {
		t.Fatalf("the pipe: %v", err)
	}
	w.run(t, "", "1: digest: sha256:", "docker-gitea", "push", tag, ref)
	assertBlobs(t, pull(t, g.Server, user, servers.AdminPassword, ref), pullWithSkopeo(t, g.Server, user, ref))
	want, err := e.Run(t.Context(), "image", "inspect", "--format", "{{.Id}}", tag)
	servers.Need(t, err)
	env, err := g.Env(t.TempDir(), user, servers.AdminPassword)
	servers.Need(t, err)
	if got := strings.TrimSpace(run(t, env, program(t, "crane"), "digest", ref)); got != want {
		t.Errorf("from the pipe came %s, want %s", got, want)
	}
}

// interrupted presses Ctrl-C while a push waits for its archive.
func interrupted(t *testing.T, w *windows, app string) {
	t.Helper()
	r, pipe, err := os.Pipe()
	servers.Need(t, err)
	defer pipe.Close()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := w.command(t, r, "docker-gitea", "push", "-", app+":4")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	servers.Need(t, cmd.Start())
	servers.Need(t, r.Close())
	// The program reads once it is past what it sets up, the signals among it.
	_, err = pipe.Write(make([]byte, 1<<20))
	servers.Need(t, err)
	servers.Need(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err = <-done:
	case <-ctx.Done():
		servers.Need(t, errors.Join(cmd.Process.Kill(), <-done))
		t.Fatal("Ctrl-C does not end a push")
	}
	if cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("Ctrl-C: %v: %s", fmt.Sprint(err), &out)
	}
}
