package credhelper

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/credhelper/loopback"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// S1: oras-go's CVE-2026-48978. Discovery that leads elsewhere is not
// followed, neither by the browser nor by the tokens.
func TestDiscoveryOnAnotherHostIsNotBelieved(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	evil := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked: %s", r.URL)
	}))
	defer evil.Close()
	for _, issuer := range []string{evil.URL, "http://" + g.host, "https://169.254.169.254", g.URL + ".evil.com"} {
		g.issuer = issuer
		loginPasting(t, m, g, g.host).must(t) // approve checks where the browser is led
	}
}

// S3: oras-go's GHSA-vh4v-2xq2-g5cg.
func TestRedirectIsNotFollowedWithSecret(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer other.Close()
	redirect := http.RedirectHandler(other.URL, http.StatusTemporaryRedirect)
	for _, always := range []bool{true, false} {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !always && r.URL.Path == "/v2/" { // it seems to be a registry at first
				w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
				return
			}
			redirect.ServeHTTP(w, r)
		}))
		defer front.Close()
		out := newHome(t).run(t, "the-token", "login", "--with-token", "--username", "a", front.URL)
		if out.code != exitError || !strings.Contains(out.stderr, "answers 307 and redirects /v2/ to "+other.URL) {
			t.Errorf("got %d %q", out.code, out.stderr)
		}
	}
}

// S6: GHSA-f36w-mj3v-6jqv.
func TestEndlessAnswerIsCut(t *testing.T) {
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
			return
		}
		chunk := []byte(strings.Repeat("a", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	out := newHome(t).run(t, "the-token", "login", "--with-token", "--username", "a", endless.URL)
	if out.code != exitError || !strings.Contains(out.stderr, "(answered by something else, not by the registry)") {
		t.Errorf("got %d %q", out.code, out.stderr)
	}
}

// S11: GHSA-fqfh-778m-2v32, where gh ran ./git.
func TestProgramOfWorkingDirectoryIsNotRun(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the planted programs are shell scripts")
	}
	m, dir := newHome(t), t.TempDir()
	for _, name := range []string{"pass", "xdg-open", "docker-credential-other", "security"} {
		script := "#!/bin/sh\ntouch " + filepath.Join(dir, "ran-"+name) + "\n"
		programs.Write(t, filepath.Join(dir, name), script)
	}
	for _, storage := range []string{"pass", "helper:other", "keyring"} {
		m.env[envStorage] = storage
		cmd := m.command(t, request("git.example.com", "a", "s"), "store")
		cmd.Dir = dir
		cmd.Env = append(cmd.Env, "PATH=.", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")
		if err := cmd.Run(); err == nil {
			t.Errorf("%s: stored", storage)
		}
	}
	if ran, _ := filepath.Glob(filepath.Join(dir, "ran-*")); len(ran) > 0 {
		t.Errorf("%v was run", ran)
	}
}

// S12
func TestHelperNameCannotBePathOrOurselves(t *testing.T) {
	for _, name := range []string{
		"helper:", "helper:../x", "helper:a/b", `helper:a\b`, "helper:a b", "helper:-x", "helper:..", "helper:gitea", "helper:Gitea", "helper:gitea.exe",
		"plain", "Keyring", "file ",
	} {
		if err := store.CheckName(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
	for _, name := range []string{"", "auto", "keyring", "pass", "file", "helper:desktop", "helper:wincred.exe", "helper:secretservice"} {
		if err := store.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// S14
func TestPlainHTTPIsRefused(t *testing.T) {
	tests := map[string]struct {
		address string
		allowed bool
		want    bool
	}{
		"https":              {"https://git.example.com", false, true},
		"http":               {"http://git.example.com", false, false},
		"http, allowed":      {"http://git.example.com", true, true},
		"loopback":           {"http://127.0.0.1:3000", false, true},
		"loopback, IPv6":     {"http://[::1]:3000", false, true},
		"localhost":          {"http://localhost:3000", false, true},
		"localhost's double": {"http://localhost.evil.com", false, false},
		"127.0.0.1's double": {"http://127.0.0.1.evil.com", false, false},
		"file":               {"file:///etc/passwd", true, false},
		"user":               {"https://a:b@git.example.com", false, false},
	}
	for name, tt := range tests {
		if err := checkSecure(tt.address, tt.allowed); (err == nil) != tt.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// S15
func TestSelfSignedCertificateIsRefused(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	out := m.run(t, "the-token", "login", "--with-token", g.host)
	if out.code != exitError || !strings.Contains(out.stderr, "--ca-file") {
		t.Errorf("got %d %q, want a hint at --ca-file", out.code, out.stderr)
	}
	if len(g.seen) != 0 {
		t.Error("a request was made")
	}
	out = m.run(t, "the-token", "login", "--with-token", "--insecure", g.host).must(t)
	if !strings.Contains(out.stderr, "warning: the certificate") {
		t.Errorf("got %q, want a warning", out.stderr)
	}
}

// S15: to accept any certificate of one host says nothing of another.
func TestInsecureIsForItsHostAlone(t *testing.T) {
	trusted, other, m := newFakeGitea(t, ""), newFakeGitea(t, ""), newHome(t)
	trusted.tokens["the-token"] = "all"
	m.run(t, "the-token", "login", "--with-token", "--insecure", trusted.host).must(t)
	if out := m.run(t, "", "doctor", trusted.host); !strings.Contains(out.stdout, "(push and pull)") {
		t.Errorf("the host that was logged in to with --insecure is refused: %s", out.stdout)
	}
	if out := m.run(t, "the-token", "login", "--with-token", other.host); out.code != exitError || len(other.seen) != 0 {
		t.Errorf("another host: got %d, and %d requests", out.code, len(other.seen))
	}
}

// S15
func TestOldTLSIsRefused(t *testing.T) {
	old := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request was made")
	}))
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	out := newHome(t).run(t, "the-token", "login", "--with-token", "--insecure", old.URL)
	if out.code != exitError || !strings.Contains(out.stderr, "protocol version") {
		t.Errorf("got %d %q", out.code, out.stderr)
	}
}

// S16
func TestFilesAreTheUsersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has access lists")
	}
	m := newHome(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `umask 000 && exec "$0" store`, os.Args[0])
	cmd.Env, cmd.Stdin = m.command(t, "").Env, strings.NewReader(request("git.example.com", "a", "s"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err := filepath.WalkDir(m.env[envDir], func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secret := store.FilePath(m.env[envDir], store.Key{Host: "git.example.com", Slot: store.SlotLogin})
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	get(t, m, "git.example.com")
	if info, _ := os.Stat(secret); info.Mode().Perm() != ownfile.PrivateFile {
		t.Errorf("a secret open to others has the mode %v", info.Mode())
	}
}

// S16
func TestPlantedLinkIsRefused(t *testing.T) {
	m := newHome(t)
	m.run(t, request("git.example.com", "a", "s"), "store").must(t)
	for _, path := range []string{
		filepath.Join(m.env[envDir], "hosts.json"),
		store.FilePath(m.env[envDir], store.Key{Host: "git.example.com", Slot: store.SlotLogin}),
	} {
		moved := path + ".moved"
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(moved, path); err != nil {
			t.Fatal(err)
		}
		if out := m.run(t, "git.example.com", "get"); out.code != 1 || !strings.Contains(out.stdout, "not a regular file") {
			t.Errorf("get through %s: got %d %q", path, out.code, out.stdout)
		}
		if out := m.run(t, request("git.example.com", "a", "new"), "store"); out.code != 1 {
			t.Errorf("store through %s: got %d", path, out.code)
		}
		if err := os.Rename(moved, path); err != nil {
			t.Fatal(err)
		}
	}
}

// S16: whenever a writer is killed, what it leaves can be read, and every login
// in the index has its secret.
func TestKilledWriterLeavesWholeFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows may refuse to replace a file")
	}
	m := newHome(t)
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*300*time.Microsecond)
		whole := m.command(t, request(fmt.Sprintf("h%d.example.com", i%7), "alice", strings.Repeat("s", 4000)), "store")
		cmd := exec.CommandContext(ctx, whole.Path, whole.Args[1:]...)
		cmd.Env, cmd.Stdin = whole.Env, whole.Stdin
		_ = cmd.Run() // the context kills it
		cancel()
		var users map[string]string
		if err := json.Unmarshal([]byte(m.run(t, "", "list").must(t).stdout), &users); err != nil {
			t.Fatal(err)
		}
		for host := range users {
			if got := get(t, m, host); len(got.Secret) != 4000 {
				t.Errorf("%s: got a secret of %d bytes", host, len(got.Secret))
			}
		}
	}
}

// S18: git's CVE-2024-52005. A server in whose every text there are commands
// for the terminal is asked for everything, and answers with every status.
func TestServerCannotWriteToTerminal(t *testing.T) {
	const hostile = "x\x1b]0;evil\x07\x1b[2J\u202e\u009b"
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		root := "http://" + r.Host
		claims, _ := json.Marshal(map[string]any{"UserID": 7, "Scope": "write:package," + hostile})
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+root+"/"+hostile+`/v2/token"`)
		w.Header().Set("Location", root+"/"+hostile)
		w.WriteHeader(status)
		answer(w, map[string]any{
			"message": hostile, "error": hostile, "error_description": hostile,
			"authorization_endpoint": root + "/\u202e?\u202e", "token_endpoint": root + "/\u202e", "client_id": hostile, "sha1": hostile,
			"token": "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln", "login": hostile,
		})
	}))
	defer server.Close()
	for _, status = range []int{200, 302, 400, 401, 403, 404, 500} {
		for _, args := range [][]string{
			{"login", "--with-token"},
			{"login", "--username", "alice", "--password-stdin"},
			{"login", "--paste"},
			{"register-app", "--with-token"},
		} {
			checkPrintable(t, newHome(t).run(t, "http://127.0.0.1/?code=c", append(args, server.URL)...))
		}
	}
	g := newFakeGitea(t, "")
	g.username = hostile
	out := loginPasting(t, newHome(t), g, g.host)
	checkPrintable(t, out)
	if out.code != exitError {
		t.Error("a user name that writes to the terminal was stored")
	}
}

// S18: anybody can make a certificate.
func TestCertificateCannotWriteToTerminal(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"\x1b[2Jevil"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	defer server.Close()
	m := newHome(t)
	out := m.run(t, "the-token", "login", "--with-token", "localhost:"+server.URL[strings.LastIndex(server.URL, ":")+1:])
	checkPrintable(t, out)
	if !strings.Contains(out.stderr, "evil") {
		t.Errorf("got %q, want the name in the certificate", out.stderr)
	}
}

func checkPrintable(t *testing.T, out output) {
	t.Helper()
	if strings.ContainsFunc(out.all(), func(r rune) bool { return r != '\n' && isUnprintable(r) }) {
		t.Errorf("the server writes to the terminal: %q", out.all())
	}
}

// S22: git-credential-oauth takes any first request for the answer.
func TestBogusCallbacksDoNotEndLogin(t *testing.T) {
	l, err := loopback.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const state = "the-state"
	l.Serve("https://git.example.com/", state)
	defer l.Close(t.Context())
	for _, path := range []string{"/favicon.ico", "/?code=evil", "/?code=evil&state=wrong", "/?error=access_denied", "/other?code=evil&state=" + state} {
		visit(t, l.RedirectURI()+path, http.StatusNotFound)
	}
	for _, host := range []string{"evil.example.com", "localhost"} {
		req, _ := http.NewRequest(http.MethodGet, l.RedirectURI()+"/?code=evil&state="+state, nil)
		req.Host, req.Close = host, true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("a page reached by the name %q: got %s", host, resp.Status)
		}
	}
	visit(t, l.RedirectURI()+"/?code=good&state="+state, http.StatusOK)
	if got := <-l.Result(); got.Err != nil || got.Code.Reveal() != "good" {
		t.Errorf("got %v, want the good code", got.Err)
	}
}

// S22
func TestRefusalAtConsentPageEndsLogin(t *testing.T) {
	l, err := loopback.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Serve("https://git.example.com/", "s")
	defer l.Close(t.Context())
	visit(t, l.RedirectURI()+"/?error=access_denied&error_description=%1b%5b2Jno&state=s", http.StatusOK)
	if got := <-l.Result(); got.Err == nil || !strings.Contains(got.Err.Error(), "access_denied") || strings.Contains(got.Err.Error(), "\x1b") {
		t.Errorf("got %v", got.Err)
	}
}

// S22
func TestWaitForBrowserEnds(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan struct{})
	defer close(closed)
	var stderr bytes.Buffer
	code := Main(ctx, System{
		Args:      []string{"login", "--ca-file", g.caFile, g.host},
		LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set },
		Stdin:     strings.NewReader(""), Stdout: io.Discard, Stderr: &stderr,
		Browser: func() func(string) error {
			return func(string) error {
				cancel()
				<-closed // a browser in the foreground
				return nil
			}
		},
	})
	if code != exitInterrupted || !strings.HasSuffix(stderr.String(), program+": interrupted\n") {
		t.Errorf("got exit code %d and %s", code, stderr.String())
	}
}

// Who does not see that a browser has opened is told what is waited for.
func TestWaitForBrowserIsNamed(t *testing.T) {
	longWait = 10 * time.Millisecond
	defer func() { longWait = 3 * time.Second }()
	g, m := newFakeGitea(t, ""), newHome(t)
	ctx, cancel := context.WithCancel(t.Context())
	stderr := &until{text: "waiting: the browser, in which you have 10 minutes to allow the login, has not answered for 10ms\n", found: cancel}
	code := Main(ctx, System{
		Args:      []string{"login", "--ca-file", g.caFile, g.host},
		LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set },
		Stdin:     strings.NewReader(""), Stdout: io.Discard, Stderr: stderr,
		Browser: func() func(string) error { return func(string) error { return nil } },
	})
	if code == 0 || bytes.Count(stderr.wrote, []byte("waiting: the browser")) != 1 {
		t.Errorf("got exit code %d and %s", code, stderr.wrote)
	}
}

// until calls found once text was written.
type until struct {
	text  string
	found func()
	wrote []byte
}

func (u *until) Write(p []byte) (int, error) {
	u.wrote = append(u.wrote, p...)
	if strings.Contains(string(u.wrote), u.text) {
		u.found()
	}
	return len(p), nil
}

func TestPastedAddressOfAnotherLoginIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:61813/?code=c&state=s":      "",
		"  http://127.0.0.1:61813/?code=c&state=s \n": "",
		"http://127.0.0.1:61813/?code=c&state=other":  "another login",
		"c":   "not the address",
		"":    "not the address",
		"%zz": "not the address",
		"http://127.0.0.1:61813/?error=access_denied&state=s": "access_denied",
		"http://127.0.0.1:61813/?state=s":                     "no code",
	} {
		code, err := loopback.ParsePasted(text, "s")
		if want == "" && (err != nil || code.Reveal() != "c") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzPastedAddress looks for an address that brings a code without our state.
func FuzzPastedAddress(f *testing.F) {
	for _, text := range []string{
		"http://127.0.0.1:61813/?code=c&state=s", "?code=c&state=other", "?state=s&error=access_denied&error_description=%1b%5b2J",
		"?code=c&state=other&state=s", "c", "%zz", "http://127.0.0.1:61813/?code=c&state=s#state=s",
	} {
		f.Add(text, "s")
	}
	f.Fuzz(func(t *testing.T, text, state string) {
		code, err := loopback.ParsePasted(text, state)
		if err == nil && (code.IsZero() || state != "" && !strings.Contains(text, "state=")) {
			t.Errorf("%q brings a code for the state %q", text, state)
		}
		if err != nil && strings.ContainsFunc(err.Error(), isUnprintable) {
			t.Errorf("the error is %q", err)
		}
	})
}

func TestSecretNeverPrints(t *testing.T) {
	a := account{password: registry.NewSecret("canary"), token: registry.NewSecret("canary"), otp: registry.NewSecret("canary")}
	if text := fmt.Sprintf("%v %+v %#v", a, a, a); strings.Contains(text, "canary") {
		t.Errorf("got %s", text)
	}
}

// The helper must start quickly and stay small: it links no engine, no
// Kubernetes, and nothing of the plugin.
func TestDependencies(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../cmd/docker-credential-gitea").Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	forbidden := []string{
		"github.com/moby/moby", "github.com/docker/docker/", "github.com/docker/cli", "github.com/docker/go-connections",
		"k8s.io/", "go.opentelemetry.io/", "google.golang.org/", "github.com/sirupsen/", "html/template",
		"github.com/docker-gitea/docker-gitea/plugin", "github.com/tidwall/",
	}
	for pkg := range strings.Lines(string(out)) {
		for _, prefix := range forbidden {
			if strings.HasPrefix(pkg, prefix) {
				t.Errorf("links %s", strings.TrimSpace(pkg))
			}
		}
	}
}

// The security model names the tests that hold it: each has to exist.
func TestSecurityModelNamesTests(t *testing.T) {
	text, err := os.ReadFile("../docs/credential-helper.md")
	if err != nil {
		t.Fatal(err)
	}
	_, model, found := strings.Cut(string(text), "\n## Security model\n")
	if !found {
		t.Fatal("there is no security model")
	}
	names := regexp.MustCompile("`(?:Test|Fuzz)\\w+`").FindAllString(model, -1)
	if len(names) < 24 {
		t.Errorf("got %d names of tests", len(names))
	}
	sources := testSources(t)
	for _, name := range names {
		if !strings.Contains(sources, "\nfunc "+strings.Trim(name, "`")+"(") {
			t.Errorf("there is no %s", name)
		}
	}
	for i := range 34 {
		if row := fmt.Sprintf("\n| S%d |", i+1); !strings.Contains(model, row) {
			t.Errorf("there is no row for S%d", i+1)
		}
	}
}

// testSources returns the text of all tests of the project.
func testSources(t *testing.T) string {
	t.Helper()
	var sources strings.Builder
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		sources.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources.String()
}

// A certificate that `docker gitea trust` has pinned is accepted here as well,
// and no other is.
func TestPinnedCertificateIsAccepted(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens["the-token"] = "all"
	other, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	strange, err := certs.Parse(other.PEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		pin  []*x509.Certificate
		want int
	}{{strange, exitError}, {[]*x509.Certificate{g.Certificate()}, 0}} {
		if err := certs.SavePin(g.host, tc.pin); err != nil {
			t.Fatal(err)
		}
		if out := m.run(t, "the-token", "login", "--with-token", g.host); out.code != tc.want {
			t.Errorf("got %d %q, want %d", out.code, out.stderr, tc.want)
		}
	}
}
