package credhelper

import (
	"encoding/base64"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
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
		if err := writeOwn(configPath(m.env[envDir]), []byte(`{"hosts":{"`+g.host+`":{`+insecure+`}}}`)); err != nil {
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
	if err := writeOwn(configPath(m.env[envDir]), []byte(own)); err != nil {
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
	strange, err := registry.ParseCertificates(authority.PEM())
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.SavePin(g.host, strange); err != nil {
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

// S32: root leaves a user's files the user's, the one of Docker and our own.
func TestRootLeavesFilesTheirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 1000
	self := programForAll(t)
	dir := filepath.Dir(self)
	docker := filepath.Join(dir, ".docker", "config.json")
	for _, err := range []error{
		os.Chown(dir, user, user),
		os.Mkdir(filepath.Dir(docker), 0o700), os.Chown(filepath.Dir(docker), user, user),
		os.WriteFile(docker, []byte("{}"), 0o640), os.Chown(docker, user, user),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(as int, stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), self, args...)
		cmd.Env = []string{asProgram + "=1", "HOME=" + dir, "PATH=" + os.Getenv("PATH"), envStorage + "=file", envLog + "=" + filepath.Join(dir, "log")}
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		runAs(cmd, as)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v as %d: %v: %s", args, as, err, out)
		}
		return string(out)
	}
	run(0, request("git.example.com", "alice", "s"), "store")
	run(0, "", "configure-docker", "git.example.com")
	if got := run(user, "git.example.com", "get"); !strings.Contains(got, "alice") {
		t.Errorf("the user gets %q", got)
	}
	run(user, request("git.example.com", "alice", "new"), "store")
	run(0, "git.example.com", "get") // and under sudo the user's login is found
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == self {
			return err
		}
		if info, err := d.Info(); err != nil || !ownedBy(info, user) {
			t.Errorf("%s was taken away from its owner (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(docker); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("config.json has the mode %v, want 0640", info.Mode().Perm())
	}
}

// S32
func TestDirectoryOfOthersIsRefused(t *testing.T) {
	m := newHome(t)
	m.run(t, request("git.example.com", "alice", "s"), "store").must(t)
	if err := os.Chmod(m.env[envDir], 0o777); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"get"}, {"status"}} {
		if out := m.run(t, "git.example.com", args...); out.code != exitError || !strings.Contains(out.all(), "others may write to the directory") {
			t.Errorf("%v: got %d %q", args, out.code, out.all())
		}
	}
}

// S26: what lies in the working directory, such as that of a cloned repository,
// is nobody's configuration.
func TestWorkingDirectoryIsNotTrusted(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	clone := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
	settings := []byte(`{"storage":"file","hosts":{"` + g.host + `":{"insecure":true}}}`)
	plant := func(data []byte, path ...string) {
		t.Helper()
		if err := writeOwn(filepath.Join(append([]string{clone}, path...)...), data); err != nil {
			t.Fatal(err)
		}
	}
	plant(authority, "our-ca.pem")
	for _, dir := range [][]string{{".config", program}, {program}, {"config", program}, {"own"}} {
		plant(settings, append(dir, "config.json")...)
	}
	plant([]byte(`{"credHelpers":{"`+g.host+`":"gitea"}}`), ".docker", "config.json")

	if err := writeOwn(configPath(m.env[envDir]), []byte(`{"hosts":{"`+g.host+`":{"caFiles":["our-ca.pem"]}}}`)); err != nil {
		t.Fatal(err)
	}
	own := []string{envDir + "=" + m.env[envDir]}
	for name, env := range map[string][]string{
		"caFiles":                  own,
		"no HOME":                  {"HOME="},
		"a relative HOME":          {"HOME=."},
		"a relative configuration": {"HOME=" + m.dir, "XDG_CONFIG_HOME=config"},
		"a relative directory":     {"HOME=" + m.dir, envDir + "=own"},
		"a relative log":           append(own, envLog+"=log"),
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "login", "--with-token", "--storage", "file", g.host)
		cmd.Env = append([]string{asProgram + "=1", "PATH=" + os.Getenv("PATH")}, env...)
		cmd.Dir, cmd.Stdin = clone, strings.NewReader("the-token")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("%s: the working directory was believed: %s", name, out)
		}
		doctor := exec.CommandContext(t.Context(), os.Args[0], "doctor", g.host)
		doctor.Env, doctor.Dir = cmd.Env, clone
		if out, _ := doctor.CombinedOutput(); strings.Contains(string(out), "this program is asked") {
			t.Errorf("%s: docker's configuration of the working directory was believed: %s", name, out)
		}
	}
	if len(g.seen) > 0 {
		t.Errorf("%d requests were made", len(g.seen))
	}
	if _, err := os.Stat(filepath.Join(clone, "log")); err == nil {
		t.Error("a log was written to the working directory")
	}
	// Beside the file that names it, it is found.
	if err := os.WriteFile(filepath.Join(m.env[envDir], "our-ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	m.run(t, "the-token", "login", "--with-token", g.host).must(t)
}

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
	for name, content := range map[string]string{"docker-credential-leaky": script, "rc": "0", "kept": ""} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(content), 0o700); err != nil {
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
	login := func(browse func(argument string)) output {
		var stdout, stderr strings.Builder
		code := Main(t.Context(), System{
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
		if strings.Contains(argument, "state") || !strings.HasPrefix(argument, loopbackURI+":") {
			t.Errorf("the browser is opened with %s", argument)
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
		l, err := listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		consent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		l.serve(consent.URL, "the-state")
		for _, address := range []string{l.startURI(), l.redirectURI() + "/?code=evil&state=the-state"} {
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Env, cmd.Dir = []string{asVisitor + "=" + address}, "/"
			runAs(cmd, tt.uid)
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != tt.want {
				t.Errorf("user %d: got %q (%v), want %s", tt.uid, out, err, tt.want)
			}
		}
		l.close(t.Context())
		consent.Close()
	}
}

// programForAll is the test binary where every user can run it.
func programForAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "program-") //nolint:usetesting // which others cannot reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(os.Args[0])
	self := filepath.Join(dir, program)
	for _, err := range []error{err, os.Chmod(dir, 0o755), os.WriteFile(self, data, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return self
}

// A program that hangs up at once does not pass for root's.
func TestSocketsOfClosedPrograms(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the table is Linux's")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, linger := range []int{-1, 0} {
		conn, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if !sameUser(conn.LocalAddr().String(), l.Addr().String()) {
			t.Error("our own connection is refused")
		}
		_ = conn.(*net.TCPConn).SetLinger(linger)
		conn.Close()
		if sameUser(conn.LocalAddr().String(), l.Addr().String()) {
			t.Errorf("a closed connection passes (linger %d)", linger)
		}
		accepted.Close()
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
	evil := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked: %s", r.URL)
	}))
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

// S27: every setting in the map of inputs that carries or weakens trust is tried
// with two hosts, of which it was said for one.
func TestInputsStayWithTheirHost(t *testing.T) {
	cases := map[string]func(t *testing.T, m *userHome, a, b *fakeGitea){
		"with-token": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, a.host).must(t)
		},
		"web": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			loginPasting(t, m, a, a.host).must(t)
		},
		envToken: func(_ *testing.T, m *userHome, a, _ *fakeGitea) {
			m.env[envToken], m.env[envHost], m.env[envUser] = canary, a.host, "alice"
		},
		"GITEA_TOKEN": func(_ *testing.T, m *userHome, a, _ *fakeGitea) {
			m.env["GITEA_TOKEN"], m.env["GITEA_SERVER_URL"] = canary, a.URL
		},
		"insecure": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"insecure":true`)
			m.run(t, canary, "login", "--with-token", "--insecure", a.host).must(t)
		},
		"plain-http": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"plainHTTP":true`)
			m.run(t, "", "login", "--with-token", "--plain-http", a.host)
		},
		"ca-file": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"caFiles":["`+a.caFile+`"]`)
			m.run(t, canary, "login", "--with-token", a.host).must(t)
		},
		"root-url": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"rootURL":"`+a.URL+`"`)
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, "--root-url", a.URL, a.host).must(t)
		},
		"client-id": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"clientID":"x"`)
		},
		"scope": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			configure(t, m, a.host, `"clientID":"x","scope":"all"`)
		},
		"storage": func(t *testing.T, m *userHome, a, _ *fakeGitea) {
			t.Helper()
			delete(m.env, envStorage)
			configure(t, m, a.host, `"storage":"file"`)
			m.run(t, canary, "login", "--with-token", "--ca-file", a.caFile, "--storage", "file", a.host).must(t)
		},
	}
	for _, in := range inputs {
		if in.effect == harmless || in.host == toNone {
			continue
		}
		name := append(append([]string(nil), in.options...), in.variables...)[0]
		t.Run(name, func(t *testing.T) {
			set, exists := cases[name]
			if !exists {
				t.Fatal("the map of inputs has a row without a case")
			}
			a, b, m := newFakeGitea(t, ""), newFakeGitea(t, ""), newHome(t)
			a.tokens[canary], b.tokens[canary] = "all", "all"
			set(t, m, a, b)
			if out := m.run(t, b.host, "get"); out.code == exitOK {
				t.Errorf("what was said for another host answers for this one: %q", out.stdout)
			}
			m.run(t, "", "doctor", b.host)
			// b's certificate is nobody's, so that nothing is sent there.
			if out := m.run(t, canary, "login", "--with-token", b.host); out.code == exitOK {
				t.Errorf("logged in to another host: %q", out.stderr)
			}
			if len(b.seen) > 0 {
				t.Errorf("%d requests to another host", len(b.seen))
			}
		})
	}
}

func configure(t *testing.T, m *userHome, host, fields string) {
	t.Helper()
	if err := writeOwn(configPath(m.env[envDir]), []byte(`{"hosts":{"`+host+`":{`+fields+`}}}`)); err != nil {
		t.Fatal(err)
	}
}
