//go:build e2e

package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// desk is a fresh HOME with docker-credential-gitea on PATH.
type desk struct {
	home  string
	env   []string
	gitea *servers.Gitea
}

// newDesk returns a desk before a Gitea whose authority every program trusts
// but the helper, which is told with --ca-file. Logins are stored in files
// unless more of the environment says otherwise.
func newDesk(t *testing.T, g *servers.Gitea, more ...string) *desk {
	t.Helper()
	// Not t.TempDir: the sockets of GnuPG's agent need a short path.
	home, err := os.MkdirTemp("", "desk-") //nolint:usetesting // the path would be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	d := &desk{home: home, gitea: g}
	d.env = append([]string{
		"PATH=" + credhelperDir(t) + ":" + os.Getenv("PATH"),
		"HOME=" + home,
		"SSL_CERT_FILE=" + g.CAFile,
		"DOCKER_HOST=tcp://127.0.0.1:1", // docker logs in without an engine
		"DOCKER_CREDENTIAL_GITEA_STORAGE=file",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
	}, more...)
	return d
}

// try runs a program and returns what it prints.
func (d *desk) try(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env, cmd.Dir = d.env, d.home
	for _, v := range d.env {
		// exec.Command looks at the test's own PATH.
		if path, ok := strings.CutPrefix(v, "PATH="); ok && !filepath.IsAbs(name) {
			for dir := range strings.SplitSeq(path, ":") {
				if file := filepath.Join(dir, name); exists(file) {
					cmd.Path, cmd.Err = file, nil
					break
				}
			}
		}
	}
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// run is try for what must succeed.
func (d *desk) run(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	out, err := d.try(t, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

const credhelperName = "docker-credential-gitea"

// credential is what the helper gives Docker.
func (d *desk) credential(t *testing.T) (username, secret string) {
	t.Helper()
	out := d.run(t, d.gitea.Host, credhelperName, "get")
	got := decode[struct{ Username, Secret string }](t, []byte(out))
	return got.Username, got.Secret
}

// noSecret fails the test if a file under HOME holds the secret in the clear,
// as it is or as Docker encodes it.
func (d *desk) noSecret(t *testing.T, secret string) {
	t.Helper()
	err := filepath.WalkDir(d.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // sockets and files that come and go
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) || strings.HasSuffix(path, "config.json") && bytes.Contains(data, []byte(`"auth"`)) {
			t.Errorf("%s holds the secret in the clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// person is a user with a browser: plain HTTP with cookies, and no scripts.
type person struct {
	name   string
	totp   string // the secret of the second factor; empty without one
	client *http.Client
	gitea  *servers.Gitea
}

// newPerson returns a new user who is logged in to the pages of Gitea.
func newPerson(t *testing.T, g *servers.Gitea) *person {
	t.Helper()
	pem, err := os.ReadFile(g.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{name: newUser(t, g), gitea: g, client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.post(t, "/user/login", url.Values{"user_name": {p.name}, "password": {servers.AdminPassword}})
	return p
}

// open returns a page and where it redirects to, if it does.
func (p *person) open(t *testing.T, address string) (page, location string) {
	t.Helper()
	resp, err := p.client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, resp)
}

func (p *person) post(t *testing.T, path string, form url.Values) (page, location string) {
	t.Helper()
	resp, err := p.client.PostForm(p.gitea.URL+path, form)
	if err != nil {
		t.Fatal(err)
	}
	return finish(t, resp)
}

func finish(t *testing.T, resp *http.Response) (page, location string) {
	t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s (%v): %s", resp.Request.URL.Path, resp.Status, err, data)
	}
	return string(data), resp.Header.Get("Location")
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// consent opens the address that the helper gives, agrees, and returns where
// the browser is led.
func (p *person) consent(t *testing.T, address string) string {
	t.Helper()
	page, location := p.open(t, address)
	if location != "" {
		return location
	}
	form := url.Values{"granted": {"true"}}
	for _, input := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Set(input[1], input[2])
	}
	if _, location = p.post(t, "/login/oauth/grant", form); location == "" {
		t.Fatal("the consent leads nowhere")
	}
	return location
}

var secretOnPage = regexp.MustCompile(`secret: ([A-Z2-7]+)`)

// enrol turns the second factor on.
func (p *person) enrol(t *testing.T) {
	t.Helper()
	const path = "/user/settings/security/two_factor/enroll"
	page, _ := p.open(t, p.gitea.URL+path)
	match := secretOnPage.FindStringSubmatch(page)
	if match == nil {
		t.Fatal("the page shows no secret")
	}
	p.totp = match[1]
	p.post(t, path, url.Values{"passcode": {p.code(t)}})
}

// code is the one-time code of now (RFC 6238).
func (p *person) code(t *testing.T) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.totp)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

var addressOnTerminal = regexp.MustCompile(`https://\S+/login/oauth/authorize\?\S+`)

// logIn runs a login with OAuth; browse is called with the address to open and
// returns what to type, if anything.
func (d *desk) logIn(t *testing.T, browse func(address string) string, flags ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(strings.Split(strings.TrimPrefix(d.env[0], "PATH="), ":")[0], credhelperName),
		append([]string{"login", "--ca-file", d.gitea.CAFile, d.gitea.Host}, flags...)...)
	cmd.Env = append(d.env, "PATH=") // no browser but ours
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
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
		if address := addressOnTerminal.FindString(lines.Text()); address != "" {
			if typed := browse(address); typed != "" {
				if _, err := io.WriteString(stdin, typed+"\n"); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("login: %v\n%s", err, &text)
	}
	return text.String()
}

// putImage pushes a small image with crane, which asks the helper.
func (d *desk) putImage(t *testing.T, user string) (ref string) {
	t.Helper()
	layer := filepath.Join(d.home, "layer.tar")
	if err := os.WriteFile(layer, make([]byte, 10240), 0o600); err != nil { // an empty archive
		t.Fatal(err)
	}
	ref = d.gitea.Host + "/" + user + "/app:1"
	d.run(t, "", program(t, "crane"), "append", "--new_layer", layer, "--new_tag", ref)
	return ref
}

// TestCredentialHelperOAuth logs in to the real Gitea, in every way that OAuth
// offers, and then has other programs use the login.
func TestCredentialHelperOAuth(t *testing.T) {
	g := gitea(t)
	t.Run("paste", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g)
		out := d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
		if want := "logged in to " + g.Host + " as " + p.name + ", who may push and pull"; !strings.Contains(out, want) {
			t.Errorf("got %s\nwant %q", out, want)
		}
		d.run(t, "", credhelperName, "configure-docker", g.Host)
		ref := d.putImage(t, p.name)
		d.run(t, "", program(t, "crane"), "manifest", ref)
		d.run(t, "", program(t, "skopeo"), "inspect", "docker://"+ref)
		d.run(t, "", program(t, "oras"), "manifest", "fetch", "--plain-http=false", ref)
	})
	t.Run("browser", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g)
		d.logIn(t, func(address string) string {
			page, _ := p.open(t, p.consent(t, address))
			if !strings.Contains(page, "go back to the terminal") {
				t.Errorf("the browser ends at %q", page)
			}
			return ""
		}, "--web")
		if user, _ := d.credential(t); user != p.name {
			t.Errorf("got user %q, want %q", user, p.name)
		}
	})
	t.Run("own application", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g)
		d.run(t, servers.AdminPassword+"\n", credhelperName, "register-app", "-u", p.name, "--password-stdin", "--ca-file", g.CAFile, g.Host)
		d.logIn(t, func(address string) string {
			if !strings.Contains(address, "scope=write%3Apackage") {
				t.Errorf("asked without scope: %s", address)
			}
			return p.consent(t, address)
		}, "--paste")
		d.run(t, "", credhelperName, "configure-docker", g.Host)
		d.putImage(t, p.name)
	})
	t.Run("denied", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g)
		out, err := d.try(t, "http://127.0.0.1:61813/?error=access_denied&state=x\n", credhelperName, "login", "--paste", "--ca-file", g.CAFile, g.Host)
		if err == nil || !strings.Contains(out, "another login") {
			t.Errorf("%s: got %v: %s", p.name, err, out)
		}
	})
}

// expireAccess makes the access token one that must be refreshed.
func (d *desk) expireAccess(t *testing.T) {
	t.Helper()
	file := filepath.Join(d.home, ".config", credhelperName, "hosts.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	expiry := regexp.MustCompile(`"expiry": "[^"]*"`)
	if err := os.WriteFile(file, expiry.ReplaceAll(data, []byte(`"expiry": "2020-01-01T00:00:00Z"`)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCredentialHelperRefresh refreshes at the real Gitea, as it is by
// default, and where each refresh token is good for once.
func TestCredentialHelperRefresh(t *testing.T) {
	gitea(t) // skips
	for _, once := range []string{"false", "true"} {
		t.Run("INVALIDATE_REFRESH_TOKENS="+once, func(t *testing.T) {
			g, err := servers.StartGitea(t.Context(), servers.GiteaOptions{Settings: map[string]string{
				"oauth2.INVALIDATE_REFRESH_TOKENS": once,
			}})
			servers.Need(t, err)
			t.Cleanup(func() { g.Stop() })
			p, d := newPerson(t, g), newDesk(t, g)
			d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
			for range 3 {
				d.expireAccess(t)
				d.credential(t)
			}
			d.run(t, "", credhelperName, "configure-docker", g.Host)
			d.putImage(t, p.name)

			// The grant is taken back: the login is dead, and says so.
			if err := g.API(t.Context(), http.MethodDelete, "/admin/users/"+p.name+"?purge=true", nil, nil); err != nil {
				t.Fatal(err)
			}
			d.expireAccess(t)
			out, err := d.try(t, g.Host, credhelperName, "get")
			if err == nil || !strings.Contains(out, "has ended") || !strings.Contains(out, "login "+g.Host) {
				t.Errorf("got %v: %s", err, out)
			}
		})
	}
}

// TestCredentialHelperPassword has a password, with and without a second
// factor, traded for a token that may do nothing but packages.
func TestCredentialHelperPassword(t *testing.T) {
	g := gitea(t)
	for _, twoFactors := range []bool{false, true} {
		t.Run(fmt.Sprintf("two factors %v", twoFactors), func(t *testing.T) {
			p, d := newPerson(t, g), newDesk(t, g)
			args := []string{"login", "-u", p.name, "--password-stdin", "--ca-file", g.CAFile, g.Host}
			input := servers.AdminPassword + "\n"
			if twoFactors {
				p.enrol(t)
				if out, err := d.try(t, input, credhelperName, args...); err == nil {
					t.Errorf("logged in without a code: %s", out)
				}
				input += p.code(t) + "\n"
			}
			d.run(t, input, credhelperName, args...)
			d.run(t, "", credhelperName, "configure-docker", g.Host)
			d.putImage(t, p.name)
			_, token := d.credential(t)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v1/user", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "token "+token)
			resp, err := g.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("the token may read the user: %s", resp.Status)
			}
		})
	}
}

// TestCredentialHelperScope has the login refuse a token that cannot push.
func TestCredentialHelperScope(t *testing.T) {
	g := gitea(t)
	user, d := newUser(t, g), newDesk(t, g)
	for scope, want := range map[string]string{
		"read:package":  "may pull but not push",
		"read:user":     "refuses the credential",
		"write:package": "logged in to " + g.Host + " as " + user,
	} {
		token, err := g.CreateToken(t.Context(), user, scope)
		servers.Need(t, err)
		out, _ := d.try(t, token, credhelperName, "login", "--with-token", "--ca-file", g.CAFile, g.Host)
		if !strings.Contains(out, want) {
			t.Errorf("%s: got %s\nwant %q", scope, out, want)
		}
	}
}

// TestCredentialHelperDockerLogin has the real docker log in and out through
// the helper, set for one host and set for all.
func TestCredentialHelperDockerLogin(t *testing.T) {
	g := gitea(t)
	docker := program(t, "docker")
	for name, args := range map[string][]string{"credHelpers": {g.Host}, "credsStore": {"--default"}} {
		t.Run(name, func(t *testing.T) {
			user, d := newUser(t, g), newDesk(t, g)
			token, err := g.CreateToken(t.Context(), user, "write:package")
			servers.Need(t, err)
			d.run(t, "", credhelperName, append([]string{"configure-docker"}, args...)...)
			d.run(t, token, docker, "login", "--username", user, "--password-stdin", g.Host)
			if gotUser, got := d.credential(t); gotUser != user || got != token {
				t.Errorf("got user %q, want %q with the token", gotUser, user)
			}
			// Without a user docker gets, checks, and stores what it got. The
			// engine is who checks.
			d.env = append(d.env, "DOCKER_HOST="+engine(t, servers.Classic).Host())
			d.run(t, "", docker, "login", g.Host)
			d.run(t, "", program(t, "crane"), "catalog", g.Host)
			d.putImage(t, user)
			d.run(t, "", docker, "logout", g.Host)
			if out, err := d.try(t, g.Host, credhelperName, "get"); err == nil {
				t.Errorf("after docker logout: %s", out)
			}
			d.noSecret(t, token)
		})
	}
	t.Run("keeps an OAuth session", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g)
		d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
		d.run(t, "", credhelperName, "configure-docker", g.Host)
		d.env = append(d.env, "DOCKER_HOST="+engine(t, servers.Classic).Host())
		d.run(t, "", docker, "login", g.Host)
		if out := d.run(t, "", credhelperName, "status", "--json"); !strings.Contains(out, `"kind": "oauth"`) {
			t.Errorf("docker login replaced the session: %s", out)
		}
	})
}

// TestCredentialHelperEngine pushes and pulls with a real engine.
func TestCredentialHelperEngine(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Classic)
	user, d := newUser(t, g), newDesk(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	d.run(t, token, credhelperName, "login", "--with-token", "--ca-file", g.CAFile, g.Host)
	d.run(t, "", credhelperName, "configure-docker", g.Host)
	d.env = append(d.env, "DOCKER_HOST="+e.Host())
	docker, ref := program(t, "docker"), g.Host+"/"+user+"/engine:1"
	dir := buildContext(t, 7, 1000)
	servers.Need(t, e.Build(t.Context(), ref, dir))
	d.run(t, "", docker, "push", ref)
	d.run(t, "", docker, "rmi", ref)
	d.run(t, "", docker, "pull", ref)
}

// TestCredentialHelperPlugin pushes with the plugin, which asks the helper.
func TestCredentialHelperPlugin(t *testing.T) {
	g := gitea(t)
	p, d := newPerson(t, g), newDesk(t, g)
	plugin := filepath.Join(t.TempDir(), "docker-gitea")
	run(t, os.Environ(), "go", "build", "-o", plugin, "../cmd/docker-gitea")
	source, ref := layout(t, 9, 1000), g.Host+"/"+p.name+"/plugin:1"
	if out, err := d.try(t, "", plugin, "push", "--ca-file", g.CAFile, source, ref); err == nil {
		t.Errorf("pushed without a login: %s", out)
	}
	d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
	d.run(t, "", credhelperName, "configure-docker", g.Host)
	d.run(t, "", plugin, "push", "--ca-file", g.CAFile, source, ref)
	d.run(t, "", program(t, "crane"), "manifest", ref)
}

// TestCredentialHelperKeyring stores a login in a real Secret Service.
func TestCredentialHelperKeyring(t *testing.T) {
	g := gitea(t)
	dbusRun, keyring := program(t, "dbus-run-session"), program(t, "gnome-keyring-daemon")
	user, d := newUser(t, g), newDesk(t, g, "DOCKER_CREDENTIAL_GITEA_STORAGE=auto")
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	d.env = append(d.env, "XDG_RUNTIME_DIR="+d.home, "HOST="+g.Host, "CA="+g.CAFile, "KEYRING="+keyring)
	const script = `set -e
printf pw | "$KEYRING" --unlock --components=secrets >/dev/null 2>&1
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true; do :; done
docker-credential-gitea login --with-token --ca-file "$CA" "$HOST"
docker-credential-gitea configure-docker "$HOST"
docker-credential-gitea status
printf %s "$HOST" | docker-credential-gitea get
docker-credential-gitea doctor "$HOST"
docker-credential-gitea logout "$HOST"
if printf %s "$HOST" | docker-credential-gitea get; then exit 1; fi
`
	out := d.run(t, token, dbusRun, "--", "sh", "-c", script)
	for _, want := range []string{"stored in keyring", token, "who may push", "logged out", "credentials not found in native keychain"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s\nwant %q", out, want)
		}
	}
	d.noSecret(t, token)
}

// TestCredentialHelperPass stores a login in a real pass.
func TestCredentialHelperPass(t *testing.T) {
	g := gitea(t)
	program(t, "pass")
	gpg := program(t, "gpg")
	user, d := newUser(t, g), newDesk(t, g, "DOCKER_CREDENTIAL_GITEA_STORAGE=pass")
	t.Cleanup(func() {
		cmd := exec.CommandContext(context.Background(), "gpgconf", "--kill", "all")
		cmd.Env = d.env
		_ = cmd.Run()
	})
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	if out, err := d.try(t, token, credhelperName, "login", "--with-token", "--ca-file", g.CAFile, g.Host); err == nil || !strings.Contains(out, "pass init") {
		t.Errorf("without a store: got %v: %s", err, out)
	}
	d.run(t, "", gpg, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "desk@example.com")
	d.run(t, "", "pass", "init", "desk@example.com")
	d.run(t, token, credhelperName, "login", "--with-token", "--ca-file", g.CAFile, g.Host)
	d.run(t, "", credhelperName, "configure-docker", g.Host)
	d.putImage(t, user)
	if _, got := d.credential(t); got != token {
		t.Error("another secret came back")
	}
	d.noSecret(t, token)
	d.run(t, "", credhelperName, "logout", g.Host)
	if out := d.run(t, "", "pass", "ls"); strings.Contains(out, user) {
		t.Errorf("the secret is left in pass: %s", out)
	}
}

// chromium drives a headless Chromium (W3C WebDriver).
type chromium struct {
	t       *testing.T
	session string
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	driver := program(t, "chromedriver")
	port, err := servers.FreePort()
	servers.Need(t, err)
	cmd := exec.Command(driver, fmt.Sprintf("--port=%d", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := &chromium{t, fmt.Sprintf("http://127.0.0.1:%d/session", port)}
	for {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/status", port))
		if err == nil {
			resp.Body.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	value := c.call("", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"acceptInsecureCerts": true,
		"goog:chromeOptions": map[string]any{
			"args": []string{"--headless=new", "--no-sandbox", "--disable-dev-shm-usage"},
			// This Gitea is built without its scripts, and its pages complain of that in dialogues.
			"prefs": map[string]any{"profile.managed_default_content_settings.javascript": 2},
		},
	}}})
	c.session += "/" + decode[struct{ SessionID string }](t, value).SessionID
	t.Cleanup(func() {
		req, _ := http.NewRequest(http.MethodDelete, c.session, nil)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	})
	return c
}

func (c *chromium) call(path string, in any) json.RawMessage {
	c.t.Helper()
	body, _ := json.Marshal(in)
	resp, err := http.Post(c.session+path, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("webdriver %s: %s", path, data)
	}
	return decode[struct{ Value json.RawMessage }](c.t, data).Value
}

func (c *chromium) open(address string) { c.call("/url", map[string]string{"url": address}) }

// element returns the path of the element that the CSS selector finds.
func (c *chromium) element(selector string) string {
	found := decode[map[string]string](c.t, c.call("/element", map[string]string{"using": "css selector", "value": selector}))
	for _, id := range found {
		return "/element/" + id
	}
	return ""
}

func (c *chromium) fill(selector, text string) {
	c.call(c.element(selector)+"/value", map[string]string{"text": text})
}

func (c *chromium) click(selector string) { c.call(c.element(selector)+"/click", map[string]string{}) }

// TestCredentialHelperChromium plays the browser's part with a real browser:
// log in, agree, and be led back.
func TestCredentialHelperChromium(t *testing.T) {
	g := gitea(t)
	c := startChromium(t)
	p, d := newPerson(t, g), newDesk(t, g)
	out := d.logIn(t, func(address string) string {
		c.call("/timeouts", map[string]int{"implicit": 10_000})
		c.open(address)
		c.fill("#user_name", p.name)
		c.fill("#password", servers.AdminPassword)
		c.click("form[action='/user/login'] button")
		c.click("#authorize-app")
		return ""
	}, "--web")
	if !strings.Contains(out, "as "+p.name) {
		t.Errorf("got %s", out)
	}
}

// TestCredentialHelperCanary has a secret of its own go through the program
// against a real server: it is in the answer to get and in the store alone.
func TestCredentialHelperCanary(t *testing.T) {
	g := gitea(t)
	user := newUser(t, g)
	log := filepath.Join(t.TempDir(), "log")
	d := newDesk(t, g, "DOCKER_CREDENTIAL_GITEA_LOG="+log)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	var seen strings.Builder
	for _, args := range [][]string{
		{"login", "--debug", "--with-token", "--ca-file", g.CAFile, g.Host},
		{"login", "--debug", "--with-token", g.Host},
		{"status", "--debug"},
		{"doctor", "--debug", g.Host},
		{"configure-docker", "--debug", g.Host},
		{"list"},
		{"unconfigure-docker", g.Host},
		{"logout", "--debug", g.Host},
	} {
		out, _ := d.try(t, token, credhelperName, args...)
		seen.WriteString(out)
	}
	logged, _ := os.ReadFile(log)
	if strings.Contains(seen.String()+string(logged), token) {
		t.Error("the token is shown")
	}
	d.noSecret(t, token)
}
