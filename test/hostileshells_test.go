//go:build e2e && linux

package test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
)

// TestHostileCompletionInShells presses the tabulator in real shells where a
// registry has payloads for owners, images and tags, and then runs commands there.
// Harmless words are offered. Nothing runs, and no file appears. The test looks at every
// byte that the terminal gets, and none steers it.
func TestHostileCompletionInShells(t *testing.T) {
	programs := pluginDir(t)
	for name, start := range completingShells {
		t.Run(name+", commands", func(t *testing.T) {
			program(t, name)
			v := newVictim(t, programs, start, hostile.Commands)
			for _, docker := range []string{"docker gitea", "docker-gitea"} {
				v.offers(docker+" ls ", "/", `/finer/`)
				v.offers(docker+" open ", "/fine/", `/fine/apple\b`)
			}
			v.leave()
			v.mustBeUnharmed()
		})
		t.Run(name, func(t *testing.T) {
			program(t, name)
			v := newVictim(t, programs, start, hostile.Payloads)
			for _, docker := range []string{"docker gitea", "docker-gitea"} {
				v.offers(docker+" ls ", "/", `/finer/`)
				v.offers(docker+" ls ", "/fine/", `/fine/apple\b`)
				v.offers(docker+" rm ", "/fine/app:", `\b12\b`)
				v.offers(docker+" push app ", "/finer/", `/finer/apple\b`)
			}
			for _, command := range []string{"ls HOST", "ls HOST/fine", "ls -q HOST/fine/app", "check HOST/fine/app", "link HOST/fine/app auto", "open --print HOST/fine/app", "rm --force HOST/fine/app"} {
				v.term.enter("clear; docker gitea " + strings.ReplaceAll(command, "HOST", v.host) + "; echo en''ded")
				v.term.await(`ended`)
			}
			v.leave()
			v.mustBeUnharmed()
		})
	}
}

// victim sits at a terminal, with a shell in an empty directory, before a
// hostile registry.
type victim struct {
	t    *testing.T
	term *terminal
	host string
	// asked has a word in it since the registry was asked.
	asked chan struct{}
	// home, work and output are a directory, the directory that the shell is in,
	// and the file of every byte that the terminal got.
	home, work, output string
}

func newVictim(t *testing.T, programs, start string, payloads []string) *victim {
	t.Helper()
	v := &victim{t: t, asked: make(chan struct{}, 1), home: t.TempDir(), work: t.TempDir(), output: filepath.Join(t.TempDir(), "output")}
	answer := hostile.New(payloads...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case v.asked <- struct{}{}:
		default:
		}
		answer.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	v.host = strings.TrimPrefix(server.URL, "http://")
	plugins := filepath.Join(v.home, ".docker", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(programs, "docker-gitea"), filepath.Join(plugins, "docker-gitea")); err != nil {
		t.Fatal(err)
	}
	v.term = newTerminal(t, 150, 40, "PATH="+programs+":"+filepath.Dir(program(t, "docker"))+":"+os.Getenv("PATH"), "HOME="+v.home,
		"DOCKER_CONFIG=", "DOCKER_HOST=tcp://127.0.0.1:1", "TERM=screen-256color", "HISTFILE=",
		"DOCKER_GITEA_HOST="+v.host, "DOCKER_GITEA_TOKEN=a-token-of-mine", "DOCKER_GITEA_PLAIN_HTTP=true")
	v.term.tmux("pipe-pane", "cat >"+v.output)
	shell, completion, _ := strings.Cut(start, "\n")
	v.term.enter("cd " + v.work + "; " + shell + "; clear; echo le''ft")
	v.term.enter(completion)
	v.term.enter("clear; echo read''y")
	v.term.await(`(?m)^ready$`)
	return v
}

// offers presses the tabulator after the beginning of a reference, until the shell
// shows what is wanted of what is harmless. Some shells list only when they are
// asked a second time, and fish forgets a key that comes while it asks: so each key
// waits until the registry was asked, and for the shell to show something.
func (v *victim) offers(command, typed, want string) {
	v.t.Helper()
	pattern := regexp.MustCompile(want)
	v.term.tmux("send-keys", "-l", command+v.host+typed)
	v.term.await(regexp.QuoteMeta(v.host+typed) + `$|` + regexp.QuoteMeta(v.host+typed) + `\s`)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		select {
		case <-v.asked:
		default:
		}
		v.term.tmux("send-keys", "Tab")
		select {
		case <-v.asked:
		case <-time.After(10 * time.Second): // the shell knows already, or the key was lost
		}
		for shown := time.Now().Add(3 * time.Second); time.Now().Before(shown); {
			if pattern.MatchString(strings.ReplaceAll(v.term.screen(), "\n", " ")) {
				v.term.tmux("send-keys", "C-c")
				v.term.enter("clear; echo nex''t")
				v.term.await(`(?m)^next$`)
				return
			}
		}
	}
	v.t.Fatalf("%s%s%s: %s is not offered:\n%s", command, v.host, typed, want, v.term.screen())
}

// leave ends the shell, which may write into HOME when it ends, and has the whole
// output in its file.
func (v *victim) leave() {
	v.t.Helper()
	v.term.enter("exit")
	v.term.await(`(?m)^left$`)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if strings.Contains(readText(v.t, v.output), "left") {
			return
		}
	}
	v.t.Fatal("the terminal's output does not come")
}

func (v *victim) mustBeUnharmed() {
	v.t.Helper()
	if left := filesBelow(v.t, v.work); len(left) > 0 {
		v.t.Errorf("there are files: %q", left)
	}
	for _, dir := range []string{v.home, os.TempDir(), "/etc"} {
		if _, err := os.Lstat(filepath.Join(dir, hostile.Mark)); err == nil {
			v.t.Errorf("there is %s in %s", hostile.Mark, dir)
		}
	}
	output := readText(v.t, v.output)
	for _, sequence := range []string{"\x1b]0;hostile", "\x1b]52;", "\x1bP$q", "\u009b", "\u202e", "\u2066", "\u2028", "\x00"} {
		if i := strings.Index(output, sequence); i >= 0 {
			v.t.Errorf("the terminal got %q in %q", sequence, output[max(0, i-200):min(len(output), i+100)])
		}
	}
	if hostile.BeginsLine(strings.ReplaceAll(output, "\r", "\n")) {
		v.t.Errorf("a payload began a line: %q", output)
	}
}
