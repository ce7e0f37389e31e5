package credhelper

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/credentials"
)

var addressPattern = regexp.MustCompile(`https://\S+`)

// loginPasting logs in with --paste, the test being user and browser.
func loginPasting(t *testing.T, m *userHome, g *fakeGitea, address string, flags ...string) output {
	t.Helper()
	stdinReader, stdinWriter := io.Pipe()
	stderrReader, stderrWriter := io.Pipe()
	done := make(chan int, 1)
	var stdout strings.Builder
	go func() {
		code := Main(t.Context(), System{
			Args:      append([]string{"login", "--paste", "--ca-file", g.caFile, address}, flags...),
			LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set },
			Stdin:     stdinReader, Stdout: &stdout, Stderr: stderrWriter,
		})
		_ = stderrWriter.Close()
		_ = stdinReader.Close()
		done <- code
	}()
	var stderr strings.Builder
	lines := bufio.NewScanner(stderrReader)
	for lines.Scan() {
		stderr.WriteString(lines.Text() + "\n")
		if at := addressPattern.FindString(lines.Text()); strings.Contains(at, "/login/oauth/authorize") {
			back := g.approve(t, at)
			go func() { _, _ = io.WriteString(stdinWriter, back+"\n") }()
		}
	}
	return output{stdout.String(), stderr.String(), <-done}
}

// get asks for the credential of an address.
func get(t *testing.T, m *userHome, address string) credentials.Credentials {
	t.Helper()
	var got credentials.Credentials
	if err := json.Unmarshal([]byte(m.run(t, address, "get").must(t).stdout), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLoginWithBrowser(t *testing.T) {
	for _, path := range []string{"", "/gitea"} {
		t.Run("path "+path, func(t *testing.T) {
			g, m := newFakeGitea(t, path), newHome(t)
			cmd := m.command(t, "", "login", "--web", "--ca-file", g.caFile, "https://"+g.host+path)
			cmd.Env = append(cmd.Env, "PATH=")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			lines := bufio.NewScanner(stderr)
			for lines.Scan() {
				text.WriteString(lines.Text() + "\n")
				if at := addressPattern.FindString(lines.Text()); strings.Contains(at, "authorize?") {
					visit(t, g.approve(t, at), http.StatusOK)
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatalf("login: %v\n%s", err, &text)
			}
			if want := "logged in to " + g.host + " as alice (push and pull)"; !strings.Contains(text.String(), want) {
				t.Errorf("got %s, want %q", &text, want)
			}
			if got := get(t, m, g.host); got.Username != "alice" || !g.access[got.Secret] {
				t.Errorf("get: got user %q, want alice with an access token", got.Username)
			}
		})
	}
}

// visit opens a loopback address as a browser does.
func visit(t *testing.T, address string, want int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		t.Errorf("visit: %v", err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("visit: got %s, want %d", resp.Status, want)
	}
}

func TestLoginPasting(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	out := loginPasting(t, m, g, g.host).must(t)
	if !strings.Contains(out.stderr, publicClientName) {
		t.Errorf("got %q, want a notice of what the consent page names", out.stderr)
	}
	if form := g.posts[0]; form.Get("client_id") != publicClient || form.Get("scope") != "" {
		t.Errorf("token request with client %q and scope %q", form.Get("client_id"), form.Get("scope"))
	}
}

// A Gitea under a path is found from the path in the challenge, too.
func TestLoginFindsSubPath(t *testing.T) {
	g, m := newFakeGitea(t, "/deep/gitea"), newHome(t)
	loginPasting(t, m, g, g.host).must(t)
}

// What a host was logged in with holds for the next login, but an address that
// says otherwise goes first.
func TestLoginAgain(t *testing.T) {
	g, m := newFakeGitea(t, "/gitea"), newHome(t)
	loginPasting(t, m, g, g.host+"/gitea").must(t)
	g.tokens["the-token"] = "all"
	m.run(t, "the-token", "login", "--with-token", g.host).must(t)
	out := m.run(t, "the-token", "login", "--with-token", g.host+"/elsewhere")
	if out.code != exitError || !strings.Contains(out.stderr, "--username") {
		t.Errorf("the path of the address is not used: %d %q", out.code, out.stderr)
	}
}

func TestLoginWithOwnApplication(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.password = "pw"
	out := m.run(t, "token-of-alice\n", "register-app", "--with-token", "--ca-file", g.caFile, g.host).must(t)
	if out.stdout != "own-client\n" {
		t.Errorf("register-app: got %q, want the client ID", out.stdout)
	}
	login := loginPasting(t, m, g, g.host).must(t)
	if !strings.Contains(login.stderr, "client_id=own-client") || !strings.Contains(login.stderr, "scope=write%3Apackage") {
		t.Errorf("login does not use the application: %s", login.stderr)
	}
}

// Where the scope of the application keeps the name from us, the registry tells
// the number, and the search for users the name.
func TestLoginWithoutUserInfo(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.scoped = true
	out := loginPasting(t, m, g, g.host).must(t)
	if !strings.Contains(out.stderr, "as alice (push and pull)") {
		t.Errorf("got %q, want the name that the search found", out.stderr)
	}
	g.discreet = true
	if out := loginPasting(t, m, g, g.host); out.code != exitError || !strings.Contains(out.stderr, "--scope 'write:package read:user'") {
		t.Errorf("got %d %q, want the scope that gives the name", out.code, out.stderr)
	}
}

func TestLoginWithToken(t *testing.T) {
	tests := map[string]struct {
		scope string
		flags []string
		want  string // in the error; empty for success
	}{
		"write":           {scope: "write:package"},
		"several":         {scope: "read:user,write:package"},
		"all":             {scope: "all"},
		"read":            {scope: "read:package", want: "may pull but not push"},
		"read, pull only": {scope: "read:package", flags: []string{"--pull-only"}},
		"other":           {scope: "read:user", want: "may do nothing with packages"},
		"nobody's":        {scope: "ghost", want: "treated the request as anonymous, though the credential of --with-token was sent"},
		"a job's":         {scope: "actions", want: "hint: store a personal access token with the scope write:package as a secret of the repository, and give it with --with-token"},
		"refused":         {want: "cause: the server refuses the credential of --with-token: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g, m := newFakeGitea(t, ""), newHome(t)
			if tt.scope != "" {
				g.tokens["the-token"] = tt.scope
			}
			args := append([]string{"login", "--with-token", "--ca-file", g.caFile, g.host}, tt.flags...)
			out := m.run(t, "the-token\n", args...)
			if tt.want != "" {
				if out.code != exitError || !strings.Contains(out.stderr, tt.want) {
					t.Errorf("got %d %q, want %q", out.code, out.stderr, tt.want)
				}
				if kept := m.run(t, g.host, "get"); kept.code == 0 {
					t.Error("the login was stored all the same")
				}
				return
			}
			out.must(t)
			// The server says whose token it is.
			if got := get(t, m, g.host); got.Username != "alice" || got.Secret != "the-token" {
				t.Errorf("get: got %q, want alice and her token", got.Username)
			}
		})
	}
}

func TestLoginWithPassword(t *testing.T) {
	tests := map[string]struct {
		user       string // if not alice
		otp, stdin string
		want       int
		hint       string
	}{
		"password":              {stdin: "pw\n"},
		"password and code":     {otp: "123456", stdin: "pw\n123456\n"},
		"missing code":          {otp: "123456", stdin: "pw\n", want: exitError, hint: "second line of standard input"},
		"an e-mail address":     {user: "alice@example.com", stdin: "pw\n", want: exitUsage, hint: "is an e-mail address, not the name of an account"},
		"wrong password":        {stdin: "wrong\n", want: exitError, hint: "second line of standard input"},
		"used code":             {otp: "123456", stdin: "pw\n654321\n", want: exitError, hint: "each code works once"},
		"Windows' line endings": {otp: "123456", stdin: "pw\r\n123456\r\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g, m := newFakeGitea(t, ""), newHome(t)
			g.password, g.otp = "pw", tt.otp
			out := m.run(t, tt.stdin, "login", "--username", cmp.Or(tt.user, "alice"), "--password-stdin", "--ca-file", g.caFile, g.host)
			if out.code != tt.want {
				t.Fatalf("exit code %d, want %d: %s", out.code, tt.want, out.stderr)
			}
			if !strings.Contains(out.stderr, tt.hint) {
				t.Errorf("got %q, want %q", out.stderr, tt.hint)
			}
			if tt.want == 0 {
				if got := get(t, m, g.host); !strings.HasPrefix(got.Secret, "minted-") {
					t.Error("the password was stored, want a token made for this")
				}
			}
		})
	}
}

// Where Gitea's pages are is said with the scheme by which it was reached.
func TestPagesOfPlainHTTP(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	plain := httptest.NewServer(g.Config.Handler)
	t.Cleanup(plain.Close)
	out := m.run(t, "pw\n", "login", "--username", "alice@example.com", "--password-stdin", "--plain-http", strings.TrimPrefix(plain.URL, "http://"))
	if want := plain.URL + "/user/settings"; !strings.Contains(out.stderr, want) {
		t.Errorf("got %q, want %q", out.stderr, want)
	}
}

func TestLoginFailsClosedWithoutStore(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
	delete(m.env, envStorage)
	g.tokens["the-token"] = "all"
	out := m.run(t, "the-token", "login", "--with-token", "--ca-file", g.caFile, g.host)
	if out.code != exitError {
		t.Fatalf("exit code %d, want %d", out.code, exitError)
	}
	for _, want := range []string{"no Secret Service", "pass", "helper:NAME", "file"} {
		if !strings.Contains(out.stderr, want) {
			t.Errorf("got %q, want it to name %q", out.stderr, want)
		}
	}
	if files, _ := os.ReadDir(m.env[envDir]); len(files) > 0 {
		t.Errorf("%d files were written", len(files))
	}
}
