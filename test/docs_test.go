//go:build e2e && linux

package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/doctest"
	"github.com/docker-gitea/docker-gitea/test/programs"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// docHosts are the names that the documentation gives to its Gitea.
var docHosts = []string{"git.example.com", "gitea.cnoe.localtest.me"}

// docPorts are the ports on which it is there.
var docPorts = []string{"443", "3000", "8443"}

// pagePatience is how long the commands of a page may take, on a machine that
// is busy with much else.
const pagePatience = 5 * time.Minute

// Every command in the documentation works, and prints what the page says.
// Each page has a Gitea, an engine, a HOME and a shell of its own. README.md
// says what is there, and package doctest how a page is read.
func TestDocumentation(t *testing.T) { readPages(t, false) }

// TestWideDocumentation reads the pages that need programs for breadth.
func TestWideDocumentation(t *testing.T) {
	wide(t)
	attest(t, "artifacts", "cosign, oras, helm", "signatures, attestations, attached files and charts, as docs/artifacts.md has it", "cosign", "oras", "helm")
	readPages(t, true)
}

// readPages reads the pages that have the option wide, or those without.
func readPages(t *testing.T, breadth bool) {
	t.Helper()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := released(t)
	for _, file := range append(pages, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		page, err := doctest.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if slices.Contains(page.Options, "wide") != breadth {
			continue
		}
		t.Run(strings.TrimPrefix(file, "../"), func(t *testing.T) {
			for _, skip := range page.Skipped {
				t.Logf("line %d is not run: %s", skip.Line, skip.Reason)
			}
			if len(page.Steps) > 0 {
				newReader(t, page.Options, programs).read(t, page.Steps)
			}
		})
	}
}

// reader is somebody who has a page, a machine with docker, a Gitea, and types
// everything that the page says.
type reader struct {
	home, token string
	values      doctest.Values
	stdin       io.Writer
	status      *bufio.Reader
}

// newReader prepares the machine. The options of a page are:
//
//	uninstalled   this project's programs are not there, nor the image app:dev
//	untrusted     the machine does not know the authority of Gitea's certificate
//	proxied       the page itself starts a proxy at ADDRESS, before GITEA_URL
//	wide          the machine has cosign and helm, too
func newReader(t *testing.T, options []string, programs string) *reader {
	t.Helper()
	dir := t.TempDir()
	address := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	hosts := filepath.Join(dir, "hosts")
	samples.WriteFile(t, hosts, fmt.Appendf(nil, "127.0.0.1 localhost\n%s %s\n", address, strings.Join(docHosts, " ")))

	g, err := servers.StartGitea(t.Context(), servers.GiteaOptions{
		Settings: map[string]string{"server.ROOT_URL": "https://" + docHosts[0] + "/"},
		Names:    append([]string{"localhost"}, docHosts...),
	})
	servers.Need(t, err)
	t.Cleanup(func() { g.Stop() })
	for _, port := range docPorts {
		if slices.Contains(options, "proxied") {
			break
		}
		forward(t, net.JoinHostPort(address, port), g.Host)
	}
	var trust []string
	if !slices.Contains(options, "untrusted") {
		trust = []string{"SSL_CERT_FILE=" + g.CAFile, "CURL_CA_BUNDLE=" + g.CAFile}
	}
	e, err := servers.StartEngine(t.Context(), servers.Containerd, servers.EngineOptions{HostsFile: hosts, Env: trust})
	servers.Need(t, err)
	t.Cleanup(func() { e.Stop() })

	r := &reader{home: filepath.Join(dir, "me"), values: doctest.Values{}}
	for _, name := range []string{"me", "giteaAdmin"} {
		servers.Need(t, g.CreateUser(t.Context(), name, servers.AdminPassword))
	}
	r.token, err = g.CreateToken(t.Context(), "me", "write:package", "read:user", "read:repository")
	servers.Need(t, err)
	d := &desk{home: r.home, env: []string{
		"PATH=" + machine(t, dir, g, options),
		"HOME=" + r.home,
		"DOCKER_HOST=" + e.Host(),
		// For setups alone.
		"GITEA_DIR=" + g.Dir, "GITEA_URL=" + g.URL, "ADDRESS=" + address,
		"DISPLAY=:0", // for the browser
		"TERM=xterm",
	}}
	d.env = slices.Concat(d.env, trust, toBuild(t, dir))
	d.startKeyring(t)
	r.sit(t, dir, d.env)
	if !slices.Contains(options, "uninstalled") {
		r.try(t, doctest.Step{Text: "cp " + programs + "/docker-gitea ~/.docker/cli-plugins/\n" +
			"cp -P " + programs + "/* /usr/local/bin/\n" +
			"mkdir app && cd app && echo 'hello, world' >hello\n" +
			`printf 'FROM scratch\nCOPY hello /\nCMD ["/hello"]\n' >Dockerfile` + "\n" +
			"docker build -q -t app:dev .\n" +
			"docker save -o image.tar app:dev\n"})
	}
	return r
}

// toBuild returns what the environment needs to build this project from a
// clone of its public repository, which is this working tree, with the caches
// of Go and of servers that this test itself has.
func toBuild(t *testing.T, dir string) []string {
	t.Helper()
	project, err := filepath.Abs("..")
	servers.Need(t, err)
	cache, err := servers.CacheDir()
	servers.Need(t, err)
	repository := filepath.Join(dir, "project.git")
	inProject(t, "sh", "-ec", `git init -q --bare -b main "$0"
git -C "$0" config receive.shallowUpdate true
commit=$(git stash create)
git push -q "$0" "${commit:-HEAD}:refs/heads/main"`, repository)
	env := []string{
		"PROJECT=" + project,
		"DOCKER_GITEA_TEST_CACHE=" + cache,
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=url.file://" + repository + ".insteadOf",
		"GIT_CONFIG_VALUE_0=https://github.com/docker-gitea/docker-gitea",
	}
	for _, name := range []string{"GOMODCACHE", "GOCACHE", "GOPROXY"} {
		env = append(env, name+"="+strings.TrimSpace(inProject(t, "go", "env", name)))
	}
	return env
}

// released returns a directory with this project's programs.
func released(t *testing.T) string {
	t.Helper()
	dir := pluginDir(t)
	if err := os.Rename(filepath.Join(credhelperDir(t), credhelperName), filepath.Join(dir, credhelperName)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// machine makes in dir what a machine has that the page is read on, and
// returns the PATH. The browser of the user me agrees to everything.
func machine(t *testing.T, dir string, g *servers.Gitea, options []string) string {
	t.Helper()
	for _, name := range []string{"me/.docker/cli-plugins", "bin", "usr-local"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(program(t, "docker-buildx"), filepath.Join(dir, "me/.docker/cli-plugins/docker-buildx")); err != nil {
		t.Fatal(err)
	}
	writeScript(t, filepath.Join(dir, "bin/sudo"), `exec "$@"`)
	browser := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		// The helper's own page leads to Gitea's.
		follow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		start, err := follow.Get(req.URL.Query().Get("address"))
		if err != nil {
			t.Errorf("the browser opens nothing: %v", err)
			return
		}
		start.Body.Close()
		address := strings.Replace(start.Header.Get("Location"), "https://"+docHosts[0], g.URL, 1)
		location := visitor(t, "me", g.URL, g.CAFile).consent(t, address)
		if resp, err := http.Get(location); err == nil {
			resp.Body.Close()
		}
	}))
	t.Cleanup(browser.Close)
	writeScript(t, filepath.Join(dir, "bin/xdg-open"), `curl -sG --data-urlencode "address=$1" `+browser.URL+` >/dev/null 2>&1`)

	path := []string{filepath.Join(dir, "me/.local/bin"), filepath.Join(dir, "bin")}
	programs := []string{"docker", "crane", "regctl", "oras", "skopeo", "caddy"}
	if slices.Contains(options, "wide") {
		programs = append(programs, "cosign", "helm")
	}
	for _, name := range programs {
		path = append(path, filepath.Dir(program(t, name)))
	}
	return strings.Join(append(path, "/usr/local/bin", os.Getenv("PATH")), ":")
}

func writeScript(t *testing.T, file, text string) {
	t.Helper()
	programs.Write(t, file, "#!/bin/sh\n"+text+"\n")
}

// sit starts the shell: one for the whole page, so that directories and
// variables stay as the reader leaves them. Nobody else sees its /etc/hosts, and
// what it writes below /usr/local.
func (r *reader) sit(t *testing.T, dir string, env []string) {
	t.Helper()
	// Not cancelled as the test ends: the shell then stops what the page has started.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), pagePatience)
	t.Cleanup(cancel)
	shell := exec.CommandContext(ctx, "/bin/sh", "-ec", `mount --bind "$0/hosts" /etc/hosts
mount -t tmpfs scratch "$0/usr-local"
mkdir "$0/usr-local/upper" "$0/usr-local/work"
mount -t overlay over-usr-local -o "lowerdir=/usr/local,upperdir=$0/usr-local/upper,workdir=$0/usr-local/work" /usr/local
exec bash --norc`, dir)
	shell.Env, shell.Dir = env, r.home
	shell.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	status, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	shell.ExtraFiles = []*os.File{to}
	r.status = bufio.NewReader(status)
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.stdin = stdin
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = stdin.Close(), shell.Wait(), status.Close() })
}

func (r *reader) read(t *testing.T, steps []doctest.Step) {
	t.Helper()
	for _, step := range steps {
		r.try(t, step)
	}
}

// try does what the step says, and compares.
func (r *reader) try(t *testing.T, step doctest.Step) {
	t.Helper()
	text := strings.ReplaceAll(r.values.Replace(step.Text), "…", r.token)
	dir := t.TempDir()
	file := filepath.Join(dir, "step")
	samples.WriteFile(t, file, []byte(text))
	var command string
	switch {
	case step.File != "":
		command = fmt.Sprintf("cp %s %s", file, step.File)
	case asks(step):
		samples.WriteFile(t, filepath.Join(dir, "expect"), []byte(answers))
		command = fmt.Sprintf("%s %s/expect %s", program(t, "expect"), dir, file)
	case step.Transcript:
		command = ". " + file
	default:
		command = "set -e; . " + file + "; set +e"
	}
	if _, err := fmt.Fprintf(r.stdin, "{ %s; } >%s/out 2>&1 3>&- </dev/null; echo $? >&3\n", command, dir); err != nil {
		t.Fatalf("line %d: %v", step.Line, err)
	}
	code, err := r.status.ReadString('\n')
	out := r.seen(t, filepath.Join(dir, "out"))
	if err != nil {
		t.Fatalf("line %d: a command fails, or takes too long:\n%s%s", step.Line, text, out)
	}
	status, err := strconv.Atoi(strings.TrimSpace(code))
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 && strings.TrimSpace(step.Output) == "" {
		t.Fatalf("line %d: exit code %d:\n%s%s", step.Line, status, text, out)
	}
	if step.Transcript {
		if err := r.values.Match(step.Output, out); err != nil {
			t.Fatalf("line %d: %s%v", step.Line, text, err)
		}
	}
}

// seen returns what is in the file as the page writes it.
func (r *reader) seen(t *testing.T, file string) string {
	t.Helper()
	out, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(r.home, "/home/me", r.token, "…").Replace(string(out))
}

// asks reports whether the command asks at a terminal.
func asks(step doctest.Step) bool {
	return strings.Contains(step.Output, "assword") && strings.Contains(step.Output, ":") || strings.Contains(step.Output, "[y/N]")
}

// answers is a script for expect that runs a step at a terminal, as me.
const answers = `log_user 1
set timeout 60
spawn -noecho bash [lindex $argv 0]
expect {
	-re {[Uu]sername[^\n]*: $} { send "me\r"; exp_continue }
	-re {[Pp]assword[^\n]*: $} { send "` + servers.AdminPassword + `\r"; exp_continue }
	-re {\[y/N\] $} { send "y\r"; exp_continue }
	timeout { exit 124 }
	eof
}
exit [lindex [wait] 3]
`

// forward passes on what is sent to an address until the test ends.
func forward(t *testing.T, from, to string) {
	t.Helper()
	listener, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go passOn(client, to)
		}
	}()
}

func passOn(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
}
