package credhelper

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// S28: what the user has taken back, or not said again, no longer holds.
func TestInsecureIsTakenBack(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	login := func(flags ...string) output {
		return m.run(t, "the-token", append([]string{"login", "--with-token", g.host}, flags...)...)
	}
	login("--insecure").must(t)
	configured := func(insecure string) {
		t.Helper()
		if err := ownfile.WritePrivate(configPath(m.env[envDir]), []byte(`{"hosts":{"`+g.host+`":{`+insecure+`}}}`)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		config string
		flags  []string
		want   int
	}{
		{``, []string{"--insecure=false"}, exitError},
		{``, nil, exitError},
		{``, []string{"--insecure=false", "--insecure"}, exitOK},
		{``, []string{"--insecure", "--insecure=false"}, exitError},
		{`"insecure":true`, nil, exitOK},
		{`"insecure":true`, []string{"--insecure=false"}, exitError},
		{`"insecure":false`, nil, exitError},
		{`"insecure":false`, []string{"--insecure"}, exitOK},
		{``, []string{"--insecure=perhaps"}, exitUsage},
	} {
		configured(tt.config)
		out := login(tt.flags...)
		if out.code != tt.want {
			t.Errorf("with {%s} and %v: got %d %q, want %d", tt.config, tt.flags, out.code, out.stderr, tt.want)
		}
		if said := strings.Contains(out.stderr, "is not verified"); said != (out.code == exitOK) {
			t.Errorf("with {%s} and %v: the warning is %t: %q", tt.config, tt.flags, said, out.stderr)
		}
	}
}

// S28
func TestPlainHTTPIsTakenBack(t *testing.T) {
	m := newHome(t)
	var clear []string
	network := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clear = append(clear, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		if strings.HasSuffix(r.URL.Path, "/v2/token") {
			claims := base64.RawURLEncoding.EncodeToString([]byte(`{"UserID":7,"Scope":"all"}`))
			answer(w, map[string]string{"token": "e30." + claims + ".c2ln"})
			return
		}
		answer(w, map[string]any{"login": "alice", "sha1": "minted", "version": "1.26.0"})
	}))
	defer network.Close()
	run := func(stdin string, args ...string) output {
		cmd := m.command(t, stdin, args...)
		cmd.Env = append(cmd.Env, "HTTP_PROXY="+network.URL, "HTTPS_PROXY="+network.URL)
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return output{stdout: string(out), code: cmd.ProcessState.ExitCode()}
	}
	out := run("the-token", "login", "--with-token", "--username", "alice", "--plain-http", "git.example.com").must(t)
	if len(clear) == 0 || !strings.Contains(out.stdout, "can be read by anyone") {
		t.Errorf("got %d requests, and %q", len(clear), out.stdout)
	}
	clear = nil
	for _, flags := range [][]string{nil, {"--plain-http=false"}, {"--plain-http", "--plain-http=false"}} {
		run(canary+"\n", append([]string{"login", "--username", "alice", "--password-stdin", "git.example.com"}, flags...)...)
	}
	for _, request := range clear {
		if !strings.HasPrefix(request, "CONNECT ") {
			t.Errorf("in the clear: %s", request)
		}
	}
}

// The pages of a login over http were an address of http. The next login, over
// https, begins without it.
func TestPagesOverHTTPAreForgotten(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ host, root, want string }{
		{"git.example.com", "http://git.example.com/gitea", ""},
		{"git.example.com", "https://git.example.com/gitea", "https://git.example.com/gitea"},
		{"localhost:3000", "http://localhost:3000/gitea", "http://localhost:3000/gitea"},
	} {
		if got := (settings{RootURL: test.root}).again(test.host).RootURL; got != test.want {
			t.Errorf("%s, %s: got %q, want %q", test.host, test.root, got, test.want)
		}
	}
}
