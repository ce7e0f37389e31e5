package credhelper

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// S29: a host's settings are for that host: its pages at another one have what
// was said for that one.
func TestSettingsStayWithTheirHost(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	asked := 0
	pages := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		answer(w, map[string]any{"sha1": "the-token", "version": "1.26.0"})
	}))
	defer pages.Close()
	_, port, _ := net.SplitHostPort(pages.Listener.Addr().String())
	login := func(flags ...string) output {
		args := []string{"login", "--root-url", "https://localhost:" + port, "--username", "alice", "--password-stdin", g.host}
		return m.run(t, canary+"\n", append(args, flags...)...)
	}
	for _, flags := range [][]string{{"--insecure"}, {"--ca-file", g.caFile, "--insecure"}} {
		if out := login(flags...); out.code != exitError || asked > 0 {
			t.Errorf("%v: got %d %q, and %d requests to another host", flags, out.code, out.stderr, asked)
		}
	}
	own := `{"hosts":{"localhost:` + port + `":{"insecure":true}}}`
	if err := ownfile.WritePrivate(configPath(m.env[envDir]), []byte(own)); err != nil {
		t.Fatal(err)
	}
	if out := login("--ca-file", g.caFile).must(t); asked == 0 || !strings.Contains(out.stderr, "certificate of localhost:"+port+" is not verified") {
		t.Errorf("got %q, and %d requests", out.stderr, asked)
	}
	if out := m.run(t, "", "login", "--plain-http", "--root-url", "http://pages.example.com", g.host); out.code != exitError || !strings.Contains(out.stderr, "pages.example.com is plain http") {
		t.Errorf("got %d %q", out.code, out.stderr)
	}
}

// S29: pins hold without HOME, and whatever XDG_CONFIG_HOME is.
func TestPinHoldsWithoutConfigDirectory(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	t.Setenv("HOME", m.dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	strange, err := certs.Parse(authority.PEM())
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.SavePin(g.host, strange); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"with the pin":               {"XDG_CONFIG_HOME="},
		"a relative XDG_CONFIG_HOME": {"XDG_CONFIG_HOME=config"},
		"a relative HOME":            {"HOME=."},
	} {
		cmd := m.command(t, "the-token", "login", "--with-token", g.host)
		cmd.Env = append(append(cmd.Env, "SSL_CERT_FILE="+g.caFile), env...)
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: the certificate was accepted: %s", name, out)
		}
	}
}

// S30: before a secret is sent to the API, it is known to be Gitea's: another
// application may be at the root of the host.
func TestOtherApplicationAtRootIsGivenNoSecret(t *testing.T) {
	g, m := newFakeGitea(t, "/gitea"), newHome(t)
	g.password, g.tokens[canary] = canary, "all"
	elsewhere := func() (seen []string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, request := range g.secrets {
			if !strings.HasPrefix(request, "/gitea/") && !strings.HasPrefix(request, "/v2/token") {
				seen = append(seen, request)
			}
		}
		return seen
	}
	m.run(t, canary+"\n", "login", "-u", "alice", "--password-stdin", "--ca-file", g.caFile, g.host).must(t)
	m.run(t, canary, "login", "--with-token", "--ca-file", g.caFile, g.host).must(t)
	m.run(t, canary, "register-app", "--with-token", "--ca-file", g.caFile, g.host).must(t)
	if seen := elsewhere(); len(seen) > 0 {
		t.Errorf("secrets were sent to %q", seen)
	}
}

// S30: a realm's user information is no host.
func TestRealmWithUserLeadsNowhere(t *testing.T) {
	evil := httptest.NewUnstartedServer(http.NotFoundHandler())
	evil.Config.ConnState = func(_ net.Conn, state http.ConnState) { // its certificate is nobody's: there is no request
		if state == http.StateNew {
			t.Error("another host was asked")
		}
	}
	evil.StartTLS()
	defer evil.Close()
	other := strings.TrimPrefix(evil.URL, "https://")
	for _, realm := range []string{"https://HOST@" + other + "/gitea/v2/token", "https://HOST@" + other + "/v2/token", "//" + other + "/v2/token", "/@" + other + "/v2/token", "@" + other + "/v2/token"} {
		g, m := newFakeGitea(t, "/gitea"), newHome(t)
		g.password = canary
		g.realm = strings.ReplaceAll(realm, "HOST", g.host)
		out := m.run(t, canary+"\n", "login", "-u", "alice", "--password-stdin", "--insecure", g.host)
		t.Logf("%s: %d", realm, out.code)
	}
}

// S31: Docker keeps three secrets under three addresses of its own registry.
func TestDockerHubKeepsThreeLogins(t *testing.T) {
	m := newHome(t)
	const hub = "https://index.docker.io/v1/"
	secrets := map[string]string{hub: "the-pat", hub + "access-token": "the-access-token", hub + "refresh-token": "the-refresh-token..client-id"}
	for address, secret := range secrets {
		m.run(t, request(address, "me", secret), "store").must(t)
	}
	for address, want := range secrets {
		if got := get(t, m, address); got.Secret != want {
			t.Errorf("get %s: got %q, want %q", address, got.Secret, want)
		}
	}
	want := `{"https://index.docker.io/v1/":"me","https://index.docker.io/v1/access-token":"me","https://index.docker.io/v1/refresh-token":"me"}` + "\n"
	if out := m.run(t, "", "list").must(t); out.stdout != want {
		t.Errorf("got %q, want %q", out.stdout, want)
	}
	m.run(t, hub+"access-token", "erase").must(t)
	if got := get(t, m, hub); got.Secret != "the-pat" {
		t.Errorf("to erase the access token changed the login to %q", got.Secret)
	}
	m.run(t, "", "logout", "--all").must(t)
	if out := m.run(t, "", "list").must(t); out.stdout != "{}\n" {
		t.Errorf("after logout --all: got %q", out.stdout)
	}
}

// S31: HOST:443 is https, and never port 80.
func TestPlainHTTPGoesToNoOtherPort(t *testing.T) {
	m := newHome(t)
	listener, err := net.Listen("tcp", "127.0.0.4:80")
	if err != nil {
		t.Skip(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("port 80 got %s %s", r.URL.Path, r.Header.Get("Authorization"))
	})}
	go server.Serve(listener)
	defer server.Close()
	for _, args := range [][]string{{"--plain-http", "127.0.0.4:443"}, {"http://127.0.0.4:443"}, {"--plain-http", "http://127.0.0.4:443/"}} {
		out := m.run(t, canary, append([]string{"login", "--with-token"}, args...)...)
		if out.code != exitUsage || !strings.Contains(out.stderr, "127.0.0.4:443 is the port of https") {
			t.Errorf("%v: got %d %q", args, out.code, out.stderr)
		}
	}
}
