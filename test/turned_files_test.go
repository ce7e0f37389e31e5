//go:build !windows

package test

import (
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

func literalKey(t *testing.T, o *owner) {
	t.Helper()
	config := o.write(t, filepath.Join(o.home, ".docker", "config.json"),
		`{"CredsStore":"osxkeychain","auths":{"git.example.com:443":{"auth":"Y2FuYXJ5"},"https://git.example.com/v1/":{"auth":"Y2FuYXJ5"}}}`, 0o600)
	o.run(t, o.helper, "configure-docker", "git.example.com:443", "git.example.com", "docker.io")
	got := readFile(t, config)
	for _, want := range []string{`"git.example.com:443":"gitea"`, `"git.example.com":"gitea"`, `"https://index.docker.io/v1/":"gitea"`, `"CredsStore":"osxkeychain"`} {
		if !strings.Contains(strings.ReplaceAll(got, " ", ""), want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if strings.Contains(got, "Y2FuYXJ5") || strings.Contains(got, `"credsStore"`) {
		t.Errorf("got %s", got)
	}
	if out, code := o.run(t, o.helper, "configure-docker", "--default"); code == 0 || readFile(t, config) != got {
		t.Errorf("CredsStore is overridden: got %d and %s", code, out)
	}
	o.run(t, o.helper, "configure-docker", "--default", "--force")
	if got := readFile(t, config); strings.Count(strings.ToLower(got), "credsstore") != 1 {
		t.Errorf("CredsStore is there twice: %s", got)
	}
	const hub = "https://index.docker.io/v1/"
	for _, part := range []string{"", "access-token", "refresh-token"} {
		o.stdin = `{"ServerURL":"` + hub + part + `","Username":"me","Secret":"the-` + part + `"}`
		if out, code := o.run(t, o.helper, "store"); code != 0 {
			t.Fatalf("got %d and %s", code, out)
		}
	}
	for _, part := range []string{"", "access-token", "refresh-token"} {
		o.stdin = hub + part
		if out, _ := o.run(t, o.helper, "get"); !strings.Contains(out, `"the-`+part+`"`) {
			t.Errorf("%s%s: got %s", hub, part, out)
		}
	}
	portOfHTTPS(t, o)
}

// portOfHTTPS speaks plain HTTP at port 443: what is for there goes there, and
// nothing to port 80.
func portOfHTTPS(t *testing.T, o *owner) {
	t.Helper()
	const address = "127.0.0.7"
	var seen [2]*witness
	for i, port := range []string{"80", "443"} {
		seen[i] = witnessAt(t, net.JoinHostPort(address, port))
	}
	o.write(t, filepath.Join(o.home, ".docker", "config.json"),
		`{"auths":{"`+address+`:443":{"auth":"bWU6Zm9yLTQ0Mw=="},"`+address+`":{"auth":"bWU6Zm9yLTgw"}}}`, 0o600)
	o.run(t, o.plugin, "ls", "http://"+address+":443/me/app")
	o.run(t, o.plugin, "ls", "--plain-http", address+":443/me/app")
	o.stdin = "a-token-of-mine"
	o.run(t, o.helper, "login", "--with-token", "--username", "me", "--plain-http", address+":443")
	if got := seen[0].saw(""); len(got) > 0 {
		t.Errorf("what is for port 443 went to port 80: %q", got)
	}
	if got := seen[1].saw("bWU6Zm9yLTgw"); len(got) > 0 {
		t.Errorf("the login for port 80 went to port 443: %q", got)
	}
	o.write(t, filepath.Join(o.home, ".docker", "config.json"), `{"auths":{"`+address+`:443":{"auth":"bWU6Zm9yLTQ0Mw=="}}}`, 0o600)
	o.run(t, o.plugin, "ls", "http://"+address+"/me/app")
	if asked, got := seen[0].saw(""), seen[0].saw("bWU6Zm9yLTQ0Mw"); len(asked) == 0 || len(got) > 0 {
		t.Errorf("the login for port 443 went to port 80: %q of %q", got, asked)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func fileOfOwner(t *testing.T, o *owner) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 1000
	o.home, _ = os.MkdirTemp("", "home-") //nolint:usetesting // which the user can reach
	o.dir = o.home
	t.Cleanup(func() { os.RemoveAll(o.home) })
	config := o.write(t, filepath.Join(o.home, ".docker", "config.json"), `{"auths":{}}`, 0o640)
	for _, path := range []string{o.home, filepath.Dir(config), config} {
		if err := os.Chown(path, user, user); err != nil {
			t.Fatal(err)
		}
	}
	o.env = []string{"SUDO_UID=" + strconv.Itoa(user), "SUDO_GID=" + strconv.Itoa(user)}
	o.stdin = `{"ServerURL":"git.example.com","Username":"me","Secret":"mine"}`
	for program, calls := range map[string][][]string{
		o.helper: {{"store"}, {"configure-docker", "git.example.com"}},
		o.plugin: {{"setup"}, {"trust", "git.example.com", strangeAuthority(t)}},
	} {
		for _, args := range calls {
			if out, code := o.run(t, program, args...); code != 0 {
				t.Errorf("%q: got %d and %s", args, code, out)
			}
		}
	}
	err := filepath.WalkDir(o.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 { // whose a link is counts for nothing
			return err
		}
		info, err := os.Lstat(path)
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != user {
			t.Errorf("%s belongs to %d", path, stat.Uid)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(config); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	plantedNames(t, o, user)
	// A link for everybody leads to no file that a user can replace.
	copied := filepath.Join(o.home, "docker-gitea")
	content, err := os.ReadFile(o.plugin)
	if err != nil {
		t.Fatal(err)
	}
	programs.Write(t, copied, string(content))
	if err := os.Chown(copied, user, user); err != nil {
		t.Fatal(err)
	}
	if out, code := o.run(t, copied, "setup", "--system", "--dry-run"); code == 0 || !strings.Contains(out, "root") {
		t.Errorf("setup --system: got %d and %s", code, out)
	}
}

// plantedNames has the user put links and second names of a file of root's
// wherever root writes and reads: the file stays root's, and what it was.
func plantedNames(t *testing.T, o *owner, user int) {
	t.Helper()
	shadow := o.write(t, filepath.Join(t.TempDir(), "shadow"), "root's", 0o644)
	own := filepath.Join(o.home, ".config", "docker-credential-gitea")
	called := map[string]struct {
		program string
		args    []string
		env     string
	}{
		filepath.Join(o.home, "log"):                           {o.helper, []string{"list"}, "DOCKER_CREDENTIAL_GITEA_LOG="},
		filepath.Join(own, "locks", "git.example.com"):         {o.helper, []string{"store"}, ""},
		filepath.Join(own, "secrets", "git.example.com.login"): {o.helper, []string{"get"}, ""},
		filepath.Join(own, "hosts.json"):                       {o.helper, []string{"list"}, ""},
		filepath.Join(o.home, "metadata.json"):                 {o.plugin, []string{"push", "--metadata-file", filepath.Join(o.home, "metadata.json"), filepath.Join(o.home, "none.tar"), "git.example.com/me/app"}, ""},
	}
	for path, call := range called {
		for how, plant := range map[string]func(old, fresh string) error{"hard": os.Link, "symbolic": os.Symlink} {
			before, _ := os.ReadFile(path)
			for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o700), os.RemoveAll(path), plant(shadow, path)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if how == "symbolic" {
				if err := os.Lchown(path, user, user); err != nil {
					t.Fatal(err)
				}
			}
			o.env, o.stdin = nil, "git.example.com"
			if call.env != "" {
				o.env = []string{call.env + path}
			}
			if call.args[0] == "store" {
				o.stdin = `{"ServerURL":"git.example.com","Username":"me","Secret":"mine"}`
			}
			out, _ := o.run(t, call.program, call.args...)
			info, err := os.Stat(shadow)
			if err != nil {
				t.Fatal(err)
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 || info.Mode().Perm() != 0o644 || readFile(t, shadow) != "root's" {
				t.Errorf("a %s link at %s: root's file is %v and has %q: %s", how, path, info, readFile(t, shadow), out)
			}
			if strings.Contains(out, "root's\"") || strings.Contains(out, ":\"root's") {
				t.Errorf("a %s link at %s: shown: %s", how, path, out)
			}
			_ = os.Remove(path)
			if before != nil {
				o.write(t, path, string(before), 0o600)
				if err := os.Chown(path, user, user); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func secretShown(t *testing.T, o *owner) {
	t.Helper()
	const secret = "c4a7cafe0123456789abcdefc4a7cafe01234567"
	key := "-----BEGIN PRIVATE KEY-----\nMIG" + secret + "\n-----END PRIVATE KEY-----\n"
	server, certificate := newWitness(t, true, giteaIn), o.clientCertificate(t)
	shows := func(what, out string) {
		t.Helper()
		if strings.Contains(out, secret) || strings.Contains(out, "MIGc4a7") {
			t.Errorf("%s shows the secret: %s", what, out)
		}
	}
	for what, env := range map[string]string{"a key for a path": "DOCKER_GITEA_KEY=" + key, "a password in an address": "DOCKER_HOST=tcp://me:" + secret + "@127.0.0.1:1"} {
		o.env = []string{env, "DOCKER_GITEA_CERT=" + certificate}
		for _, args := range [][]string{{"push", "app", server.host + "/me/app"}, {"ls", server.host + "/me"}} {
			out, _ := o.run(t, o.plugin, args...)
			shows(what, out)
		}
	}
	o.env = nil
	out, _ := o.run(t, o.plugin, "ls", "https://me:"+secret+"@"+server.host+"/me")
	shows("an address", out)
	config := "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: " + server.host + ", credential: {file: " + secret + "}}\n"
	o.write(t, filepath.Join(o.home, ".docker", "gitea.yaml"), config, 0o600)
	out, _ = o.run(t, o.plugin, "ls", server.host+"/me")
	shows("a file of the name", out)

	programs.Write(t, filepath.Join(o.home, "bin", "docker-credential-leaky"), "#!/bin/sh\necho "+secret+"\nexit 1\n")
	o.write(t, filepath.Join(o.home, ".docker", "gitea.yaml"), "", 0o600)
	o.write(t, filepath.Join(o.home, ".docker", "config.json"), `{"credHelpers":{"`+server.host+`":"leaky"}}`, 0o600)
	out, _ = o.run(t, o.plugin, "-D", "ls", server.host+"/me")
	shows("another helper", out)
	o.env, o.stdin = []string{"DOCKER_CREDENTIAL_GITEA_STORAGE=helper:leaky"}, `{"ServerURL":"`+server.host+`","Username":"me","Secret":"x"}`
	out, _ = o.run(t, o.helper, "store")
	shows("another helper", out)
	out, _ = o.run(t, o.helper, "login", "--ca-file="+key, server.host)
	shows("a key for a path", out)
	stateOnCommandLine(t, o)
}

// stateOnCommandLine has a browser that writes down how it was called, which every
// user of the machine sees.
func stateOnCommandLine(t *testing.T, o *owner) {
	t.Helper()
	var server *witness
	server = newWitness(t, true, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/.well-known/openid-configuration" {
			_, _ = w.Write([]byte(strings.ReplaceAll(`{"issuer":"ROOT","authorization_endpoint":"ROOT/login/oauth/authorize","token_endpoint":"ROOT/login/oauth/access_token","userinfo_endpoint":"ROOT/u"}`, "ROOT", server.URL)))
			return
		}
		giteaIn(w, req)
	})
	called := filepath.Join(o.home, "called")
	browser := programs.Write(t, filepath.Join(o.home, "bin", "the-browser"), "#!/bin/sh\necho \"$@\" >"+called+".new\nmv "+called+".new "+called+"\n")
	c := exec.CommandContext(t.Context(), o.helper, "login", "--web", "--ca-file", server.authority(t), server.host)
	c.Env = []string{"HOME=" + o.home, "PATH=/bin:/usr/bin", "BROWSER=" + browser, "DISPLAY=:0", "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		if argument, err := os.ReadFile(called); err == nil {
			if strings.Contains(string(argument), "state") || !strings.HasPrefix(string(argument), "http://127.0.0.1:") {
				t.Errorf("the browser was called with %s", argument)
			}
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("no browser was called: %v: %s", err, out.String())
		default:
		}
	}
	_ = c.Process.Kill()
	<-ended
}

func outputPath(t *testing.T, o *owner) {
	t.Helper()
	server := registrytest.Start(t, registrytest.Config{})
	images := t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(o.dir, name) }
	o.write(t, at("target"), "before", 0o600)
	for _, err := range []error{os.Symlink("target", at("link")), syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("/dev/null", at("device"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	read := make(chan string, 1)
	go func() {
		content, _ := os.ReadFile(at("pipe")) // until the push has written it
		read <- string(content)
	}()
	o.env = []string{"DOCKER_GITEA_HOST=" + server.Host, "DOCKER_GITEA_TOKEN=" + registrytest.Token, "DOCKER_GITEA_CA_FILE=" + server.CAFile}
	for digest, metadata := range map[string]string{"pipe": "link", "device": "device"} {
		out, code := o.run(t, o.plugin, "push", "--digest-file", at(digest), "--metadata-file", at(metadata), filepath.Join(images, "archive.tar"), server.Host+"/alice/app:1")
		if code != 0 {
			t.Fatalf("got %d and %s", code, out)
		}
	}
	for name, want := range map[string]fs.FileMode{"link": fs.ModeSymlink, "device": fs.ModeSymlink, "pipe": fs.ModeNamedPipe} {
		if info, err := os.Lstat(at(name)); err != nil || info.Mode().Type() != want {
			t.Fatalf("%s: got %v, %v", name, info, err)
		}
	}
	if got := <-read; !strings.HasPrefix(got, "sha256:") {
		t.Errorf("the pipe got %q", got)
	}
	if got := readFile(t, at("target")); !strings.Contains(got, "sha256:") {
		t.Errorf("the link's target has %q", got)
	}
}
