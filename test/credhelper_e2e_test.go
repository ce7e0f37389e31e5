//go:build e2e

package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestCredentialHelperOAuth logs in to the real Gitea and Forgejo, in every way that OAuth
// offers, and then has other programs use the login.
func TestCredentialHelperOAuth(t *testing.T) { eachForge(t, testCredentialHelperOAuth) }

func testCredentialHelperOAuth(t *testing.T, g *servers.Gitea) {
	t.Helper()
	t.Run("paste", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g.Server)
		out := d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
		if want := "logged in to " + g.Host + " as " + p.name + " (push and pull)"; !strings.Contains(out, want) {
			t.Errorf("got %s\nwant %q", out, want)
		}
		d.run(t, "", credhelperName, "configure-docker", g.Host)
		ref := d.putImage(t, p.name)
		d.run(t, "", program(t, "crane"), "manifest", ref)
		d.run(t, "", program(t, "skopeo"), "inspect", "docker://"+ref)
		d.run(t, "", program(t, "oras"), "manifest", "fetch", "--plain-http=false", ref)
	})
	t.Run("browser", func(t *testing.T) {
		p, d := newPerson(t, g), newDesk(t, g.Server)
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
		p, d := newPerson(t, g), newDesk(t, g.Server)
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
		p, d := newPerson(t, g), newDesk(t, g.Server)
		out, err := d.try(t, "http://127.0.0.1:61813/?error=access_denied&state=x\n", credhelperName, "login", "--paste", "--ca-file", g.CAFile, g.Host)
		if err == nil || !strings.Contains(out, "another login") {
			t.Errorf("%s: got %v: %s", p.name, err, out)
		}
	})
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
			p, d := newPerson(t, g), newDesk(t, g.Server)
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
func TestCredentialHelperPassword(t *testing.T) { eachForge(t, testCredentialHelperPassword) }

func testCredentialHelperPassword(t *testing.T, g *servers.Gitea) {
	t.Helper()
	for _, twoFactors := range []bool{false, true} {
		t.Run(fmt.Sprintf("two factors %v", twoFactors), func(t *testing.T) {
			p, d := newPerson(t, g), newDesk(t, g.Server)
			args := []string{"login", "-u", p.name, "--password-stdin", "--ca-file", g.CAFile, g.Host}
			input := servers.AdminPassword + "\n"
			if twoFactors {
				p.enrol(t)
				if out, err := d.try(t, input, credhelperName, args...); err == nil {
					t.Errorf("logged in without a code: %s", out)
				}
				input += p.code(t, 0) + "\n"
			}
			d.run(t, input, credhelperName, args...)
			d.run(t, "", credhelperName, "configure-docker", g.Host)
			d.putImage(t, p.name)
			_, token := d.credential(t)
			ask := func() int {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v1/user", nil)
				servers.Need(t, err)
				req.Header.Set("Authorization", "token "+token)
				resp, err := g.Client().Do(req)
				servers.Need(t, err)
				servers.Need(t, resp.Body.Close())
				return resp.StatusCode
			}
			if status := ask(); status != http.StatusForbidden {
				t.Errorf("the token may read the user: %d", status)
			}
			// Only Gitea 1.27 has a token revoke itself.
			says, after := "the server has revoked the access token that the login made", http.StatusUnauthorized
			if g.Forgejo() || g.Older() {
				says, after = "still valid: this server cannot do that", http.StatusForbidden
			}
			if out := d.run(t, "", credhelperName, "logout", g.Host); !strings.Contains(out, says) {
				t.Errorf("logout: got %s, want %q", out, says)
			}
			if status := ask(); status != after {
				t.Errorf("the token after the logout: got %d, want %d", status, after)
			}
		})
	}
}

// TestCredentialHelperScope has the login refuse a token that cannot push.
func TestCredentialHelperScope(t *testing.T) { eachForge(t, testCredentialHelperScope) }

func testCredentialHelperScope(t *testing.T, g *servers.Gitea) {
	t.Helper()
	// Without SSL_CERT_FILE, --ca-file is what makes Gitea trusted.
	user, d := newUser(t, g), newDesk(t, g.Server, "SSL_CERT_FILE=/dev/null")
	for scope, want := range map[string]string{
		"read:package":  "may pull but not push",
		"read:user":     map[bool]string{false: "the server knows the credential of --with-token, but its registry does not accept it", true: "may do nothing with packages"}[g.Forgejo()],
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
			user, d := newUser(t, g), newDesk(t, g.Server)
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
		p, d := newPerson(t, g), newDesk(t, g.Server)
		d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
		d.run(t, "", credhelperName, "configure-docker", g.Host)
		d.env = append(d.env, "DOCKER_HOST="+engine(t, servers.Classic).Host())
		d.run(t, "", docker, "login", g.Host)
		if out := d.run(t, "", credhelperName, "status", "--json"); !strings.Contains(out, `"kind": "oauth"`) {
			t.Errorf("docker login replaced the session: %s", out)
		}
	})
}

// TestCredentialHelperEngine pushes and pulls with a real engine, the helper
// being set for one host and for all.
func TestCredentialHelperEngine(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Classic)
	for name, arg := range map[string]string{"credHelpers": g.Host, "credsStore": "--default"} {
		t.Run(name, func(t *testing.T) {
			user, d := newUser(t, g), newDesk(t, g.Server, "DOCKER_HOST="+e.Host())
			token, err := g.CreateToken(t.Context(), user, "write:package")
			servers.Need(t, err)
			d.run(t, token, credhelperName, "login", "--with-token", g.Host)
			d.run(t, "", credhelperName, "configure-docker", arg)
			docker, ref := program(t, "docker"), g.Host+"/"+user+"/engine:1"
			servers.Need(t, e.Build(t.Context(), ref, samples.BuildContext(t, 7, 1000)))
			d.run(t, "", docker, "push", ref)
			d.run(t, "", docker, "rmi", ref)
			d.run(t, "", docker, "pull", ref)
			d.run(t, "", docker, "logout", g.Host)
			if out, err := d.try(t, "", docker, "push", ref); err == nil {
				t.Errorf("pushed after the logout: %s", out)
			}
		})
	}
}

// TestCredentialHelperPlugin pushes with the plugin, which asks the helper.
func TestCredentialHelperPlugin(t *testing.T) {
	g := gitea(t)
	p, d := newPerson(t, g), newDesk(t, g.Server)
	plugin := filepath.Join(t.TempDir(), "docker-gitea")
	run(t, os.Environ(), "go", "build", "-o", plugin, "../cmd/docker-gitea")
	source, ref := samples.Layout(t, 9, 1000), g.Host+"/"+p.name+"/plugin:1"
	if out, err := d.try(t, "", plugin, "push", "--ca-file", g.CAFile, source, ref); err == nil {
		t.Errorf("pushed without a login: %s", out)
	}
	d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
	d.run(t, "", credhelperName, "configure-docker", g.Host)
	d.run(t, "", plugin, "push", "--ca-file", g.CAFile, source, ref)
	d.run(t, "", program(t, "crane"), "manifest", ref)
}

// TestCredentialHelperChromium plays the browser's part with a real browser:
// log in, with a second factor too, agree, and be led back.
func TestCredentialHelperChromium(t *testing.T) {
	g := gitea(t)
	for _, twoFactors := range []bool{false, true} {
		t.Run(fmt.Sprintf("two factors %v", twoFactors), func(t *testing.T) {
			c := startChromium(t)
			p, d := newPerson(t, g), newDesk(t, g.Server)
			if twoFactors {
				p.enrol(t)
			}
			out := d.logIn(t, func(address string) string {
				c.call("/timeouts", map[string]int{"implicit": 60_000})
				c.open(address)
				c.fill("#user_name", p.name)
				c.fill("#password", servers.AdminPassword)
				c.click("form[action='/user/login'] button")
				if twoFactors {
					c.fill("#passcode", p.code(t, 1))
					c.click("form[action='/user/two_factor'] button")
				}
				c.click("#authorize-app")
				return ""
			}, "--web")
			if !strings.Contains(out, "as "+p.name) {
				t.Errorf("got %s", out)
			}
			d.run(t, "", credhelperName, "configure-docker", g.Host)
			d.putImage(t, p.name)
		})
	}
}

// TestCredentialHelperCanary has a secret of its own go through the program
// against a real server: it is in the answer to get and in the store alone.
func TestCredentialHelperCanary(t *testing.T) {
	g := gitea(t)
	user := newUser(t, g)
	log := filepath.Join(t.TempDir(), "log")
	d := newDesk(t, g.Server, "DOCKER_CREDENTIAL_GITEA_LOG="+log)
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

// TestCredentialHelperStores keeps an OAuth session in a real Secret Service,
// in a real pass, and in another helper, at a Gitea where each refresh token is
// good for once. Everything that is logged is below HOME, too.
func TestCredentialHelperStores(t *testing.T) {
	g := strictGitea(t)
	for name, start := range map[string]func(*desk, testing.TB){
		"keyring":     (*desk).startKeyring,
		"pass":        (*desk).startPass,
		"helper:pass": (*desk).startPassHelper,
	} {
		t.Run(name, func(t *testing.T) {
			p, d := newPerson(t, g), newDesk(t, g.Server, "DOCKER_CREDENTIAL_GITEA_STORAGE="+name)
			d.env = append(d.env, "DOCKER_CREDENTIAL_GITEA_LOG="+filepath.Join(d.home, "log"))
			// A store that is not there yet is said before anything is asked.
			if out, err := d.try(t, "", credhelperName, "login", "--paste", g.Host); err == nil || !strings.Contains(out, ": "+name+": ") {
				t.Errorf("without a store: got %v: %s", err, out)
			}
			start(d, t)
			out := d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste", "--debug")
			if want := "stored in " + name; !strings.Contains(out, want) || webToken.MatchString(out) {
				t.Errorf("got %s\nwant %q, and no token", out, want)
			}
			d.run(t, "", credhelperName, "configure-docker", g.Host)
			d.run(t, "", credhelperName, "doctor", g.Host)
			_, before := d.credential(t)
			for range 2 {
				d.expireAccess(t)
				d.putImage(t, p.name) // refreshes
			}
			side := 50
			if name != "keyring" {
				side = 20 // gpg has half a second of the processor for each, and they wait 30 s for each other
			}
			d.noSecret(t, before, manyGets(t, g, d, side))
			d.run(t, "", credhelperName, "logout", g.Host)
			if out, err := d.try(t, g.Host, credhelperName, "get"); err == nil {
				t.Errorf("after the logout: %s", out)
			}
			if left, _ := filepath.Glob(filepath.Join(d.home, ".password-store", "*", "*", "*.gpg")); len(left) > 0 {
				t.Errorf("secrets are left in pass: %v", left)
			}
		})
	}
}

// TestCredentialHelperLockedKeyring has the keyring be locked, as after a start
// over ssh: Docker is told so, and nobody is asked to unlock it.
func TestCredentialHelperLockedKeyring(t *testing.T) {
	g := gitea(t)
	user, d := newUser(t, g), newDesk(t, g.Server)
	d.startKeyring(t)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	d.run(t, token, credhelperName, "login", "--with-token", g.Host)
	d.run(t, "", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.secrets", "/org/freedesktop/secrets",
		"org.freedesktop.Secret.Service.Lock", "array:objpath:/org/freedesktop/secrets/collection/login")
	out, err := d.try(t, g.Host, credhelperName, "get")
	if err == nil || !strings.HasPrefix(out, "keyring: the keyring is locked\n") || strings.Contains(out, token) {
		t.Errorf("got %v: %s", err, out)
	}
	// Nobody sees the dialogue that would ask a person.
	out, err = d.try(t, token, credhelperName, "login", "--with-token", g.Host)
	if err == nil || !strings.Contains(out, "the keyring is locked, and could not ask for its password") {
		t.Errorf("got %v: %s", err, out)
	}
	d.typeKeyringHint(t, out)
	d.run(t, token, credhelperName, "login", "--with-token", g.Host)
}

// typeKeyringHint types the command of a hint, with a password, until the keyring
// that it starts has taken over.
func (d *desk) typeKeyringHint(t *testing.T, hint string) {
	t.Helper()
	_, unlock, found := strings.Cut(hint, "or here: ")
	unlock, _, typed := strings.Cut(unlock, ", then ")
	if !found || !typed {
		t.Fatalf("no command in %s", hint)
	}
	d.run(t, "", "sh", "-ec", `owner() { dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetNameOwner string:org.freedesktop.secrets 2>&1 | grep ' string ' || true; }
before=$(owner)
printf pw | `+unlock+` >/dev/null
while now=$(owner); [ -z "$now" ] || [ "$now" = "$before" ]; do :; done`)
}

// TestCredentialHelperEmptyKeyring has a keyring in which nothing can be kept, as on
// a machine that is used over ssh alone.
func TestCredentialHelperEmptyKeyring(t *testing.T) {
	g := gitea(t)
	user, d := newUser(t, g), newDesk(t, g.Server)
	d.startEmptyKeyring(t)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	out, err := d.try(t, token, credhelperName, "login", "--with-token", g.Host)
	if err == nil || !strings.Contains(out, "the keyring has no collection yet") || !strings.Contains(out, "--storage pass") {
		t.Errorf("got %v: %s", err, out)
	}
	d.typeKeyringHint(t, out)
	d.run(t, token, credhelperName, "login", "--with-token", g.Host)
}

// TestCredentialHelperTrust logs in to a Gitea that is trusted through
// "docker gitea trust" alone, and not to one that is not what was trusted.
func TestCredentialHelperTrust(t *testing.T) {
	g := gitea(t)
	other, err := servers.StartRegistry(t.Context(), servers.RegistryOptions{})
	servers.Need(t, err)
	t.Cleanup(func() { other.Stop() })
	user, d := newUser(t, g), newDesk(t, g.Server, "SSL_CERT_FILE=/dev/null")
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	login := []string{"login", "--with-token", g.Host}
	if out, err := d.try(t, token, credhelperName, login...); err == nil || !strings.Contains(out, "docker gitea trust "+g.Host) {
		t.Errorf("before it is trusted: got %v: %s", err, out)
	}
	d.run(t, "", plugin, "trust", g.Host, g.CAFile)
	d.run(t, token, credhelperName, login...)
	d.run(t, "", plugin, "untrust", g.Host)
	d.run(t, "", plugin, "trust", g.Host, other.CAFile)
	out, err := d.try(t, token, credhelperName, login...)
	if err == nil || !strings.Contains(out, "has changed: pinned is SHA-256") || !strings.Contains(out, "docker gitea untrust "+g.Host) {
		t.Errorf("with another one pinned: got %v: %s", err, out)
	}
}

// strictGitea returns a Gitea where each refresh token is good for once, and
// which logs its requests.
func strictGitea(t *testing.T) *servers.Gitea {
	t.Helper()
	g, err := servers.StartGitea(t.Context(), servers.GiteaOptions{Settings: map[string]string{
		"oauth2.INVALIDATE_REFRESH_TOKENS": "true",
		"log.logger.router.MODE":           "console",
	}})
	servers.Need(t, err)
	t.Cleanup(func() { g.Stop() })
	return g
}

// manyGets asks n times at once for the credential, whose access token
// has expired. There must be one answer, and one refresh that made it.
func manyGets(t *testing.T, g *servers.Gitea, d *desk, n int) (secret string) {
	t.Helper()
	refreshes := func() int { return strings.Count(g.Log(), "completed POST /login/oauth/access_token") }
	before, begin := refreshes(), time.Now()
	d.expireAccess(t)
	answers := make(chan string, n)
	var group errgroup.Group
	for range cap(answers) {
		group.Go(func() error {
			out, err := d.try(t, g.Host, credhelperName, "get")
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			answers <- out
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(answers)
	first := <-answers
	for answer := range answers {
		if answer != first {
			t.Error("two gets have different answers")
		}
	}
	if got := refreshes() - before; got != 1 {
		t.Errorf("got %d refreshes, want 1", got)
	}
	t.Logf("%d gets at once took %v", n, time.Since(begin).Round(time.Millisecond))
	return decode[struct{ Secret string }](t, []byte(first)).Secret
}

// TestCredentialHelperFreshHome is what a person does on a new machine: log in,
// configure, and everything works, with no secret in a file.
func TestCredentialHelperFreshHome(t *testing.T) {
	g, e := gitea(t), engine(t, servers.Classic)
	p, d := newPerson(t, g), newDesk(t, g.Server, "DOCKER_HOST="+e.Host())
	d.startKeyring(t)
	plugins := filepath.Join(d.home, ".docker", "cli-plugins")
	servers.Need(t, os.MkdirAll(plugins, 0o700))
	servers.Need(t, os.Symlink(filepath.Join(pluginDir(t), "docker-gitea"), filepath.Join(plugins, "docker-gitea")))

	d.logIn(t, func(address string) string { return p.consent(t, address) })
	d.run(t, "", credhelperName, "configure-docker", g.Host)

	docker, ref := program(t, "docker"), g.Host+"/"+p.name+"/app"
	servers.Need(t, e.Build(t.Context(), ref+":1", samples.BuildContext(t, 8, 1000)))
	d.run(t, "", docker, "push", ref+":1")
	d.run(t, "", docker, "gitea", "push", ref+":1", ref+":2")
	d.run(t, "", docker, "rmi", ref+":1")
	d.run(t, "", docker, "pull", ref+":2")
	d.putImage(t, p.name) // with crane
	d.run(t, "", program(t, "crane"), "pull", ref+":2", filepath.Join(d.home, "pulled.tar"))
	d.run(t, "", program(t, "skopeo"), "copy", "docker://"+ref+":2", "docker://"+ref+":3")
	d.run(t, "", program(t, "oras"), "copy", "--from-plain-http=false", "--to-plain-http=false", ref+":3", ref+":4")
	d.run(t, "", program(t, "oras"), "manifest", "fetch", "--plain-http=false", ref+":4")
	d.run(t, "", program(t, "regctl"), "manifest", "get", ref+":4")
	_, access := d.credential(t)
	d.noSecret(t, access)
	if out := d.run(t, "", credhelperName, "doctor", g.Host); strings.Contains(out, "plain text:") && !strings.Contains(out, "none found") {
		t.Errorf("doctor says %s", out)
	}
}

// TestCredentialHelperSubPath logs in to a Gitea whose pages are under a path,
// behind nginx, as Gitea's documentation sets it up: the registry is at the
// root of the host all the same.
func TestCredentialHelperSubPath(t *testing.T) {
	gitea(t) // skips
	port, err := servers.FreePort()
	servers.Need(t, err)
	root := fmt.Sprintf("https://localhost:%d/gitea", port)
	g, err := servers.StartGitea(t.Context(), servers.GiteaOptions{
		PlainHTTP: true,
		Settings:  map[string]string{"server.ROOT_URL": root + "/"},
	})
	servers.Need(t, err)
	t.Cleanup(func() { g.Stop() })
	front, err := servers.StartNginx(t.Context(), servers.NginxOptions{
		Upstream: g.URL, Port: port, MaxBody: "0",
		Directives: "rewrite ^/gitea(/.*)$ $1 break; if ($uri !~ ^/v2(/|$)) { return 404; }",
	})
	servers.Need(t, err)
	t.Cleanup(func() { front.Stop() })
	p, d := visitor(t, newUser(t, g), root, front.CAFile), newDesk(t, front)
	// Gitea's registry does not tell where the pages are.
	if out, err := d.try(t, "", credhelperName, "login", "--paste", front.Host); err == nil || !strings.Contains(out, "login https://"+front.Host+"/PATH") {
		t.Errorf("without the path: got %v: %s", err, out)
	}
	out := d.logInAt(t, root, func(address string) string { return p.consent(t, address) }, "--paste")
	if want := "logged in to " + front.Host + " as " + p.name; !strings.Contains(out, want) {
		t.Errorf("got %s\nwant %q", out, want)
	}
	d.run(t, "", credhelperName, "configure-docker", front.Host)
	d.expireAccess(t)
	d.putImage(t, p.name) // refreshes
	// The path need not be said again.
	d.logIn(t, func(address string) string { return p.consent(t, address) }, "--paste")
	// A password makes its token below the path, too.
	d.run(t, servers.AdminPassword+"\n", credhelperName, "login", "-u", p.name, "--password-stdin", front.Host)
	d.putImage(t, p.name)
}
