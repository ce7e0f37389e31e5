package credhelper

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/credhelper/loopback"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// S33: what another helper prints before it fails may be the secret.
func TestOtherHelpersOutputIsNotShown(t *testing.T) {
	m := newHome(t)
	bin := t.TempDir()
	script := "#!/bin/sh\ncd '" + bin + `'
case "$1" in
list) echo '{}'; exec cat rc 2>/dev/null >/dev/null;;
store) tee kept;;
get) cat kept;;
erase) cat kept;;
esac
exit "$(cat rc)"`
	programs.Write(t, filepath.Join(bin, "docker-credential-leaky"), script)
	for name, content := range map[string]string{"rc": "0", "kept": ""} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	m.env[envStorage], m.env[envLog] = "helper:leaky", filepath.Join(m.dir, "log")
	m.run(t, request("git.example.com", "alice", canary), "store").must(t)
	if got := get(t, m, "git.example.com"); got.Secret != canary {
		t.Fatalf("got %q", got.Secret)
	}
	if err := os.WriteFile(filepath.Join(bin, "rc"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for stdin, args := range map[string][]string{
		"git.example.com": {"get"}, request("git.example.com", "alice", canary+"2"): {"store"},
		"git.example.com ": {"erase"}, "": {"doctor", "git.example.com"}, " ": {"logout", "git.example.com"},
	} {
		out := m.run(t, stdin, args...)
		if out.code == exitOK || strings.Contains(out.all(), canary) {
			t.Errorf("%v: got %d %q", args, out.code, out.all())
		}
		if !strings.Contains(out.all(), "to see what it says: echo ") {
			t.Errorf("%v: no way out in %q", args, out.all())
		}
	}
	if log := read(t, m.env[envLog]); strings.Contains(log, canary) {
		t.Errorf("the log shows the secret: %s", log)
	}
	// Ctrl-C goes to the other helper too, which may end before the signal is heard here.
	if err := os.WriteFile(filepath.Join(bin, "rc"), []byte("130"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := m.run(t, "", "logout", "git.example.com"); out.code != exitInterrupted || out.stderr != program+": interrupted\n" {
		t.Errorf("got %d %q", out.code, out.all())
	}
}

// S33: a server that sends back what it was sent does not have it shown.
func TestWhatIsSentBackIsNotShown(t *testing.T) {
	for _, level := range [][]string{nil, {"--debug"}} {
		m := newHome(t)
		m.env[envLog], m.env[envStorage] = filepath.Join(m.dir, "log"), store.File
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v1/version" {
				_, _ = w.Write([]byte(`{"version":"1.26.0"}`))
				return
			}
			if r.Header.Get("Authorization") == "" { // as Gitea's registry
				w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/v2/token",service="container_registry",scope="*"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, password, _ := r.BasicAuth()
			sent := r.Header.Get("Authorization") + " of " + password + r.Header.Get("X-Gitea-OTP") + r.PostFormValue("refresh_token")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": sent, "error": "invalid_grant", "error_description": sent})
		}))
		defer server.Close()
		host := strings.TrimPrefix(server.URL, "http://")
		for _, tt := range []struct {
			stdin string
			args  []string
		}{
			{canary, []string{"login", "--with-token", "--plain-http", host}},
			{"minted-password\n" + canary + "\n", []string{"login", "-u", "alice", "--password-stdin", "--plain-http", host}},
			{canary, []string{"register-app", "--with-token", "--plain-http", host}},
		} {
			out := m.run(t, tt.stdin, append(tt.args, level...)...)
			shown := out.all() + readIfAny(m.env[envLog])
			if out.code == exitOK || !strings.Contains(shown, "[redacted]") || holdsSecret(shown) || strings.Contains(shown, "FOQVJZ") {
				t.Errorf("%v: got %d %s", tt.args, out.code, shown)
			}
		}
	}
}

// S33: the state is in no argument, and the page that has it is shown once, to
// nobody else.
func TestStateIsInNoArgument(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	open := func(address string) (status int, location string) {
		resp, err := client.Get(address)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		_ = resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Location")
	}
	ctx, giveUp := context.WithCancel(t.Context()) // nobody comes back from what is wrong
	defer giveUp()
	login := func(browse func(argument string)) output {
		var stdout, stderr strings.Builder
		code := Main(ctx, System{
			Args:      []string{"login", "--web", "--ca-file", g.caFile, g.host},
			LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set },
			Stdin:     strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
			Browser: func() func(string) error {
				return func(argument string) error {
					browse(argument)
					return nil
				}
			},
		})
		return output{stdout.String(), stderr.String(), code}
	}
	login(func(argument string) {
		if strings.Contains(argument, "state") || !strings.HasPrefix(argument, loopback.URI+":") {
			t.Errorf("the browser is opened with %s", argument)
			giveUp()
			return
		}
		status, consent := open(argument)
		if status != http.StatusFound {
			t.Errorf("the first page answers %d", status)
		}
		status, _ = open(g.approve(t, consent))
		if status != http.StatusOK {
			t.Errorf("the last page answers %d", status)
		}
	}).must(t)
	out := login(func(argument string) {
		open(argument)
		if status, location := open(argument); status != http.StatusNotFound || location != "" {
			t.Errorf("a second time: got %d and %q", status, location)
			giveUp()
		}
	})
	if out.code != exitError || !strings.Contains(out.stderr, "opened a second time") {
		t.Errorf("got %d %q", out.code, out.stderr)
	}
}

// S33: nor does the loopback answer another user of this machine, who sees the
// address that the browser is opened with, and may be quicker.
func TestLoopbackAnswersNoOtherUser(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux, and root to be several users")
	}
	self := programForAll(t)
	const other = 1000
	for _, tt := range []struct {
		uid  int
		want string
	}{{other, "404"}, {0, "200"}} {
		l, err := loopback.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		consent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		l.Serve(consent.URL, "the-state")
		for _, address := range []string{l.StartURI(), l.RedirectURI() + "/?code=evil&state=the-state"} {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env, cmd.Dir = []string{asVisitor + "=" + address}, "/"
			runAs(cmd, tt.uid)
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != tt.want {
				t.Errorf("user %d: got %q (%v), want %s", tt.uid, out, err, tt.want)
			}
		}
		l.Close(t.Context())
		consent.Close()
	}
}

// The log is behind the same gate as what is printed: no secret, and nothing that
// moves a cursor.
func TestLogIsBehindTheGate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	h := guarded(System{LookupEnv: func(key string) (string, bool) { return path, key == envLog }})
	h.hide(registry.NewSecret(canary))
	closeLog := h.openLog()
	h.log.Debug("a server said", slog.String("text", canary+"\x1b[2J"))
	closeLog()
	if log := read(t, path); !strings.Contains(log, "a server said") || strings.Contains(log, canary) || strings.Contains(log, "\x1b") {
		t.Errorf("got %q", log)
	}
}
