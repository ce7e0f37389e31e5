//go:build e2e

package test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// outcomes are the checks that are not well, as "name: outcome: hint".
func outcomes(t *testing.T, checks []client.Check) string {
	t.Helper()
	var b strings.Builder
	for _, c := range checks {
		t.Logf("%-7s %-12s %s\n%s\n%s", c.Outcome, c.Name, c.Detail, c.Cause, c.Hint)
		if c.Outcome != client.OutcomeOK {
			fmt.Fprintf(&b, "%s %s: %s %s\n", c.Name, c.Outcome, c.Cause, c.Hint)
		}
	}
	return b.String()
}

// noSessions fails when a package or an upload was left on the server.
func noSessions(t *testing.T, g *servers.Gitea, owner string) {
	t.Helper()
	uploads, err := g.SQL(t.Context(), "SELECT id, bytes_received FROM package_blob_upload")
	servers.Need(t, err)
	if uploads != "" {
		t.Errorf("the check left uploads: %s", uploads)
	}
	var packages []any
	servers.Need(t, g.API(t.Context(), http.MethodGet, "/packages/"+owner, nil, &packages))
	if len(packages) != 0 {
		t.Errorf("the check left packages: %v", packages)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, forgejo := range map[string]bool{"Gitea": false, "Forgejo": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCheck(t, forgejo)
		})
	}
}

func testCheck(t *testing.T, forgejo bool) {
	t.Helper()
	g := own(t, servers.GiteaOptions{Forgejo: forgejo})
	name, other := newUser(t, g), newUser(t, g)
	org := "org" + other
	servers.Need(t, g.CreateOrg(t.Context(), org))
	private := newUser(t, g)
	edit(t, g, private, map[string]any{"visibility": "private"})
	barred, inactive := newUser(t, g), newUser(t, g)
	barredToken, err := g.CreateToken(t.Context(), barred, "write:package", "read:user")
	servers.Need(t, err)
	inactiveToken, err := g.CreateToken(t.Context(), inactive, "write:package", "read:user")
	servers.Need(t, err)
	edit(t, g, barred, map[string]any{"prohibit_login": true})
	edit(t, g, inactive, map[string]any{"active": false})
	either := func(ofGitea, ofForgejo string) string {
		if forgejo { // which gives a token for any credential that is good for something
			return ofForgejo
		}
		return ofGitea
	}
	token := func(scopes ...string) client.AuthConfig {
		value, err := g.CreateToken(t.Context(), name, scopes...)
		servers.Need(t, err)
		return client.AuthConfig{Token: value}
	}
	for _, tc := range []struct {
		name       string
		auth       client.AuthConfig
		repository string
		want       string // of what is not well; empty is all well
	}{
		{"all well", userAuth(name), name, ""},
		{"a token", token("write:package", "read:user"), name + "/app", ""},
		{"no owner asked", userAuth(name), "", ""},
		{"nobody", client.AuthConfig{}, "", "login warning: no credential was sent"},
		{"nobody to an owner", client.AuthConfig{}, name, "owner failed: no credential was sent"},
		{"wrong password", client.AuthConfig{Username: name, Password: "wrong"}, name, "login failed: the server refuses the credential"},
		{"no package scope", token("read:user"), name, either("login failed: the server knows the credential, but its registry does not accept it",
			"scope failed: the token may not write packages; its scope is read:user")},
		{"reading scope", token("read:package"), name, "scope failed: the token may not write packages; its scope is read:package"},
		{"another user", userAuth(name), other, "owner failed: " + name + " may not push to " + other},
		{"another user, by a token that may not say who it is", token("write:package"), other, "may not push to " + other},
		{"an organisation without a team", userAuth(name), org, "owner failed: " + name + " may not push to " + org},
		{"no such owner", userAuth(name), "nobody-of-that-name", "owner failed: " + g.Host + " has no user or organisation nobody-of-that-name"},
		{"upper case", userAuth(name), name + "/App", "owner failed"},
		{"two separators", userAuth(name), name + "/my--app", "owner failed"},
		{"a private owner, by a token for public things", token("write:package", "public-only"), private, "the token is limited to public packages, and " + private + " is private"},
		{"a private owner", userAuth(name), private, "owner failed: " + name + " may not push to " + private},
		{"an account that may not log in", client.AuthConfig{Token: barredToken}, barred, "failed: the account is not activated, or forbidden to sign in"},
		{"an inactive account", client.AuthConfig{Token: inactiveToken}, inactive, "failed: the account is not activated, or forbidden to sign in"},
		{"the password of an account that may not log in", userAuth(barred), barred, "login failed: the server refuses the credential: the password is wrong, the token was revoked, the account may not sign in"},
		{"a security key", securityKey(t, g), "", "login failed: the account has a security key"},
		{"the token of a job", jobToken(t, g), name, either("or belongs to a job of Gitea Actions", "scope failed: the token of a Gitea Actions job may not write packages")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			checks := newClient(t, g.Server, tc.auth, nil).Check(t.Context(), tc.repository)
			got := outcomes(t, checks)
			for _, check := range checks {
				if check.Name == "server" && !strings.HasPrefix(check.Detail, either("Gitea 1.", "Forgejo 10.")) {
					t.Errorf("it is taken for %q", check.Detail)
				}
			}
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	noSessions(t, g, name)
}

// edit changes a user as the administrator does.
func edit(t *testing.T, g *servers.Gitea, name string, changes map[string]any) {
	t.Helper()
	changes["login_name"], changes["source_id"] = name, 0
	servers.Need(t, g.API(t.Context(), http.MethodPatch, "/admin/users/"+name, changes, nil))
}

// formerName is the name that a user had before another.
func formerName(t *testing.T, g *servers.Gitea) string {
	t.Helper()
	name := newUser(t, g)
	servers.Need(t, g.API(t.Context(), http.MethodPost, "/admin/users/"+name+"/rename", map[string]string{"new_username": name + "new"}, nil))
	return name
}

// securityKey is the password of a new user who has one.
func securityKey(t *testing.T, g *servers.Gitea) client.AuthConfig {
	t.Helper()
	name := newUser(t, g)
	_, err := g.SQL(t.Context(), fmt.Sprintf(
		"INSERT INTO webauthn_credential (name, lower_name, user_id) SELECT 'key', 'key', id FROM user WHERE lower_name = '%s'", name))
	servers.Need(t, err)
	return userAuth(name)
}

// jobToken is what a job of Gitea Actions that runs is given.
func jobToken(t *testing.T, g *servers.Gitea) client.AuthConfig {
	t.Helper()
	const token, salt = "0123456789abcdef0123456789abcdef01234567", "salt"
	// Gitea 1.26 models/auth/twofactor.go, HashToken.
	hash, err := pbkdf2.Key(sha256.New, token, []byte(salt), 10_000, 50)
	servers.Need(t, err)
	_, err = g.SQL(t.Context(), fmt.Sprintf(
		"INSERT INTO action_task (status, token_hash, token_salt, token_last_eight) VALUES (6, '%x', '%s', '%s')", hash, salt, token[32:]))
	servers.Need(t, err)
	return client.AuthConfig{Token: token}
}

// TestCheckBehindNginx has the settings of nginx and Gitea that people get
// wrong.
func TestCheckBehindNginx(t *testing.T) {
	port, err := servers.FreePort()
	servers.Need(t, err)
	underPath := own(t, servers.GiteaOptions{Settings: map[string]string{
		"server.ROOT_URL": fmt.Sprintf("https://localhost:%d/gitea/", port),
	}})
	legacy := own(t, servers.GiteaOptions{PlainHTTP: true, Settings: map[string]string{
		"server.PUBLIC_URL_DETECTION": "never", "server.ROOT_URL": "https://git.example.com/",
	}})
	off := own(t, servers.GiteaOptions{Settings: map[string]string{"packages.ENABLED": "false"}})
	plain := own(t, servers.GiteaOptions{PlainHTTP: true})
	for _, tc := range []struct {
		name  string
		nginx servers.NginxOptions
		want  string
	}{
		{"a limit of 4 MiB", servers.NginxOptions{Upstream: plain.URL, MaxBody: "4m"}, "upload limit warning: a request body was larger than nginx"},
		{"no limit", servers.NginxOptions{Upstream: plain.URL, MaxBody: "0"}, ""},
		{"no X-Forwarded-Proto", servers.NginxOptions{Upstream: plain.URL, MaxBody: "0", HideScheme: true}, "proxy_set_header X-Forwarded-Proto $scheme"},
		{"another ROOT_URL", servers.NginxOptions{Upstream: legacy.URL, MaxBody: "0"}, "the registry names https://git.example.com/v2/token as its token service"},
		{"a path, and /v2/ passed on", servers.NginxOptions{Upstream: underPath.URL, MaxBody: "0", Port: port}, ""},
		{"packages switched off", servers.NginxOptions{Upstream: off.URL}, "is a Gitea without a registry: packages are switched off"},
		{"/v2/ not passed on", servers.NginxOptions{Upstream: plain.URL, Directives: "if ($http_user_agent = docker-gitea) { return 404; }"}, "in front of localhost:"},
		{"a sign-in in front", servers.NginxOptions{Upstream: plain.URL, Directives: "if ($http_user_agent = docker-gitea) { return 302 /sso/login; }"}, "/sso/login: a sign-in page, another site, or the sign-in page of this network"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := behind(t, tc.nginx)
			got := outcomes(t, newClient(t, n, admin, nil).Check(t.Context(), servers.AdminUser))
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	noSessions(t, plain, servers.AdminUser)
}

func TestCheckOfTheWrongPort(t *testing.T) {
	g := gitea(t)
	plain := own(t, servers.GiteaOptions{PlainHTTP: true})
	for _, tc := range []struct{ name, address, want string }{
		{"https to plain http", "https://" + plain.Host, "certificate failed: " + plain.Host + " speaks plain HTTP"},
		{"http to https", "http://" + g.Host, "registry failed: " + g.Host + " speaks TLS"},
		{"nobody listens", "https://" + closedPort(t), "connection failed: nothing listens on that port of this machine"},
		{"no such name", "https://no-such-host.invalid", "name failed: the name \"no-such-host.invalid\" is not known"},
		{"an unknown authority", g.URL, "docker gitea trust " + g.Host},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := remote.New(client.RegistryConfig{URL: tc.address, CertDirs: []string{}}, &remote.Options{Backoff: atOnce})
			servers.Need(t, err)
			if got := outcomes(t, c.Check(t.Context(), "")); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// atOnce waits for nothing between tries.
func atOnce(int) time.Duration { return 0 }

// TestFailuresAreExplained has the limits and names that a push runs into, and
// not before.
func TestFailuresAreExplained(t *testing.T) {
	small := own(t, servers.GiteaOptions{Settings: map[string]string{"packages.LIMIT_SIZE_CONTAINER": "1 MiB"}})
	little := own(t, servers.GiteaOptions{Settings: map[string]string{"packages.LIMIT_TOTAL_OWNER_SIZE": "1 MiB"}})
	few := own(t, servers.GiteaOptions{Settings: map[string]string{"packages.LIMIT_TOTAL_OWNER_COUNT": "0"}})
	g := gitea(t)
	for _, tc := range []struct {
		name  string
		gitea *servers.Gitea
		owner string
		want  string
	}{
		{"a large layer", small, newUser(t, small), "a limit on the size of a layer"},
		{"much in all", little, newUser(t, little), "or of all packages of "},
		{"many packages", few, newUser(t, few), "a limit on the number of packages"},
		{"a former name", g, formerName(t, g), "the owner or the image was renamed"},
		{"another's name", g, newUser(t, g), "it is another user, or an organisation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			user := tc.owner
			if tc.gitea == g {
				user = newUser(t, g)
			}
			_, err := pushPath(t, newClient(t, tc.gitea.Server, userAuth(user), nil), tc.owner+"/app:1", samples.Layout(t, 40, 3<<20), client.PushOptions{})
			if d := client.Diagnose(err); !strings.Contains(d.Cause, tc.want) {
				t.Errorf("got %v, %+v, want %q", err, d, tc.want)
			}
		})
	}
}

// TestCheckOfDistribution looks at a registry that is no Gitea: it has no
// owners, tells nothing about the user, and begins an upload for anybody whose
// password is right.
func TestCheckOfDistribution(t *testing.T) {
	s := askingRegistry(t)
	auth := client.AuthConfig{Username: servers.RegistryUser, Password: servers.RegistryPassword}
	for _, tc := range []struct {
		name       string
		auth       client.AuthConfig
		repository string
		want       string // of what is not well; empty is all well
	}{
		{"all well", auth, "team/app", ""},
		{"a name without a slash", auth, "app", ""},
		{"a wrong password", client.AuthConfig{Username: auth.Username, Password: "wrong"}, "team/app", "login failed: the registry refuses the credential"},
		{"nobody", client.AuthConfig{}, "team/app", "owner failed: no credential was sent"},
		{"nobody, who asks for nothing", client.AuthConfig{}, "", "login warning: no credential was sent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := remote.New(client.RegistryConfig{URL: s.URL, Auth: tc.auth}, nil)
			servers.Need(t, err)
			checks := c.Check(t.Context(), tc.repository)
			got := outcomes(t, checks)
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for _, check := range checks {
				if check.Name == "server" && !strings.HasPrefix(check.Detail, "neither Gitea nor Forgejo") {
					t.Errorf("it is taken for %q", check.Detail)
				}
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(s.Dir, "data/docker/registry/v2/repositories", "*", "*", "_uploads", "*", "startedat"))
	servers.Need(t, err)
	if len(left) != 0 {
		t.Errorf("uploads are left: %v", left)
	}
}

// TestCheckKnowsWhatTheDaemonAccepts compares what check says of a daemon with
// what that does: it depends on the store, and on whether anything was
// configured, which names of this machine need a certificate.
func TestCheckKnowsWhatTheDaemonAccepts(t *testing.T) {
	t.Parallel()
	g := gitea(t)
	_, port, err := net.SplitHostPort(g.Host)
	servers.Need(t, err)
	hosts := filepath.Join(t.TempDir(), "hosts")
	samples.WriteFile(t, hosts, []byte("127.0.0.1 localhost gitea.localtest.me\n"))
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for name, tc := range map[string]struct {
		store servers.Store
		args  []string
		named bool // any name of this machine will do
	}{
		"classic":                {servers.Classic, nil, true},
		"containerd":             {servers.Containerd, nil, false},
		"containerd, configured": {servers.Containerd, []string{"--insecure-registry", "192.0.2.0/24"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := servers.StartEngine(t.Context(), tc.store, servers.EngineOptions{Args: tc.args, HostsFile: hosts})
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, e.Stop) })
			for host, want := range map[string]bool{"127.0.0.1": true, "localhost": true, "gitea.localtest.me": tc.named} {
				host = net.JoinHostPort(host, port)
				_, err := e.Run(t.Context(), "pull", host+"/nobody/nothing:1")
				if accepted := err != nil && !strings.Contains(err.Error(), "x509"); accepted != want {
					t.Errorf("pull from %s: %v", host, err)
				}
				check := exec.CommandContext(t.Context(), "/bin/sh", "-ec", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts, plugin, "check", host)
				check.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
				check.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "DOCKER_HOST=" + e.Host()}
				out, _ := check.CombinedOutput() // nobody trusts that certificate
				says := "; the daemon wants a certificate there that it can verify"
				if want {
					says = "; the daemon accepts any certificate there, and plain HTTP"
				}
				if !strings.Contains(string(out), says) {
					t.Errorf("%q is not in %s", says, out)
				}
			}
		})
	}
}
