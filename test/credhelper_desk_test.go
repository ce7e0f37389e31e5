//go:build e2e

package test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// desk is a fresh HOME with docker-credential-gitea on PATH.
type desk struct {
	home string
	env  []string
	// server is Gitea's, or that of the proxy before it.
	server *servers.Server
}

// newDesk returns a desk whose programs trust the authority of s. Logins are
// stored in files unless more of the environment says otherwise.
func newDesk(tb testing.TB, s *servers.Server, more ...string) *desk {
	tb.Helper()
	// Not tb.TempDir: the sockets of GnuPG's agent need a short path.
	home, err := os.MkdirTemp("", "desk-") //nolint:usetesting // the path would be too long
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(home) })
	d := &desk{home: home, server: s}
	d.env = append([]string{
		"PATH=" + credhelperDir(tb) + ":" + os.Getenv("PATH"),
		"HOME=" + home,
		"SSL_CERT_FILE=" + s.CAFile,
		"DOCKER_HOST=tcp://127.0.0.1:1", // docker logs in without an engine
		"DOCKER_CREDENTIAL_GITEA_STORAGE=file",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent",
	}, more...)
	return d
}

// try runs a program and returns what it prints.
func (d *desk) try(tb testing.TB, stdin, name string, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
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
func (d *desk) run(tb testing.TB, stdin, name string, args ...string) string {
	tb.Helper()
	out, err := d.try(tb, stdin, name, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

const credhelperName = "docker-credential-gitea"

// credential is what the helper gives Docker.
func (d *desk) credential(t *testing.T) (username, secret string) {
	t.Helper()
	out := d.run(t, d.server.Host, credhelperName, "get")
	got := decode[struct{ Username, Secret string }](t, []byte(out))
	return got.Username, got.Secret
}

// webToken looks like the tokens that Gitea gives for OAuth and for pushing.
var webToken = regexp.MustCompile(`eyJ[\w-]{8,}\.eyJ[\w-]{8,}`)

// noSecret fails the test if a file under HOME holds one of the secrets in the
// clear, as it is or as Docker encodes it, or any web token.
func (d *desk) noSecret(t *testing.T, secrets ...string) {
	t.Helper()
	err := filepath.WalkDir(d.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // sockets and files that come and go
		}
		data, err := os.ReadFile(path)
		holds := func(secret string) bool { return bytes.Contains(data, []byte(secret)) }
		if slices.ContainsFunc(secrets, holds) || webToken.Match(data) || filepath.Ext(path) == ".json" && holds(`"auth"`) {
			t.Errorf("%s holds a secret in the clear", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

var addressOnTerminal = regexp.MustCompile(`https://\S+/login/oauth/authorize\?\S+`)

// logIn runs a login with OAuth; browse is called with the address to open and
// returns what to type, if anything.
func (d *desk) logIn(t *testing.T, browse func(address string) string, flags ...string) string {
	t.Helper()
	return d.logInAt(t, d.server.Host, browse, flags...)
}

// logInAt is logIn with the server written as address.
func (d *desk) logInAt(t *testing.T, address string, browse func(address string) string, flags ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(strings.Split(strings.TrimPrefix(d.env[0], "PATH="), ":")[0], credhelperName),
		append([]string{"login", address}, flags...)...)
	cmd.Env = d.env
	if slices.Contains(flags, "--web") {
		cmd.Env = append(cmd.Env, "PATH=") // no browser but ours
	}
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
	ref = d.server.Host + "/" + user + "/app:1"
	d.run(t, "", program(t, "crane"), "append", "--new_layer", layer, "--new_tag", ref)
	return ref
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

// startKeyring gives the desk a session bus with GNOME's keyring, unlocked.
func (d *desk) startKeyring(tb testing.TB) {
	tb.Helper()
	d.startKeyringBy(tb, `printf pw | "$0" --unlock --components=secrets`)
}

// startEmptyKeyring is startKeyring of somebody who never logged in on a desktop.
func (d *desk) startEmptyKeyring(tb testing.TB) {
	tb.Helper()
	d.startKeyringBy(tb, `"$0" --start --components=secrets`)
}

func (d *desk) startKeyringBy(tb testing.TB, start string) {
	tb.Helper()
	dbusRun, keyring := program(tb, "dbus-run-session"), program(tb, "gnome-keyring-daemon")
	script := start + ` >/dev/null 2>&1
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true; do :; done
echo "$DBUS_SESSION_BUS_ADDRESS"
exec cat` // until its standard input ends
	d.env = append(d.env, "XDG_RUNTIME_DIR="+d.home)
	cmd := exec.Command(dbusRun, "--", "sh", "-c", script, keyring)
	cmd.Env = d.env
	stdin, err := cmd.StdinPipe()
	servers.Need(tb, err)
	stdout, err := cmd.StdoutPipe()
	servers.Need(tb, err)
	servers.Need(tb, cmd.Start())
	tb.Cleanup(func() { _, _ = stdin.Close(), cmd.Wait() })
	address, err := bufio.NewReader(stdout).ReadString('\n')
	servers.Need(tb, err)
	d.env = append(d.env, "DBUS_SESSION_BUS_ADDRESS="+strings.TrimSpace(address), "DOCKER_CREDENTIAL_GITEA_STORAGE=auto")
}

// startPass gives the desk a pass whose key has no passphrase.
func (d *desk) startPass(tb testing.TB) {
	tb.Helper()
	program(tb, "pass")
	gpg := program(tb, "gpg")
	tb.Cleanup(func() {
		cmd := exec.CommandContext(context.Background(), "gpgconf", "--kill", "all")
		cmd.Env = d.env
		_ = cmd.Run()
	})
	d.run(tb, "", gpg, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "desk@example.com")
	d.run(tb, "", "pass", "init", "desk@example.com")
	d.env = append(d.env, "DOCKER_CREDENTIAL_GITEA_STORAGE=pass")
}

// startPassHelper gives the desk docker-credential-pass to store in.
func (d *desk) startPassHelper(tb testing.TB) {
	tb.Helper()
	d.startPass(tb)
	helper := program(tb, "docker-credential-pass")
	path, _ := strings.CutPrefix(d.env[0], "PATH=")
	d.env[0] = "PATH=" + path + ":" + filepath.Dir(helper)
	d.env = append(d.env, "DOCKER_CREDENTIAL_GITEA_STORAGE=helper:pass")
}
