package credhelper

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// canary is a secret that is easily found. The secrets that the fake Gitea
// makes begin with the other words.
const canary = "CANARYcanary"

var secretWords = []string{canary, "access-", "refresh-", "minted-", "code-"}

// watched is a home in which everything that a run shows is looked through.
type watched struct {
	*userHome
	// debug gives every command --debug; verbs take no flag.
	debug bool
	// succeeded and failed are the commands that did.
	succeeded, failed []string
}

// run runs a command that must succeed, or fail.
func (w *watched) run(t *testing.T, succeeds bool, stdin string, args ...string) {
	t.Helper()
	if w.debug && !isVerb(args[0]) {
		args = append(args, "--debug")
	}
	out := w.userHome.run(t, stdin, args...)
	w.see(t, succeeds, args, out)
}

// see looks through what a run has shown.
func (w *watched) see(t *testing.T, succeeds bool, args []string, out output) {
	t.Helper()
	if (out.code == exitOK) != succeeds {
		t.Errorf("%v: exit code %d, want success: %v\n%s", args, out.code, succeeds, out.all())
	}
	if succeeds {
		w.succeeded = append(w.succeeded, args[0])
	} else {
		w.failed = append(w.failed, args[0])
	}
	shown := out.all()
	if args[0] == "get" && succeeds {
		shown = out.stderr
	}
	for line := range strings.Lines(shown) {
		// The challenge in the address of the consent page is random.
		if holdsSecret(line) && !strings.Contains(line, "redirect_uri=") {
			t.Errorf("%v shows a secret: %s", args, line)
		}
	}
}

func holdsSecret(text string) bool {
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(text, word) })
}

// S13: Docker Desktop's CVE-2021-45449. Secrets go through every command,
// succeeding and failing, at every level of logging. They are shown by get, and
// are nowhere but in the store.
func TestSecretIsShownByGetAlone(t *testing.T) {
	for name, level := range map[string]struct{ debug, log bool }{
		"silent": {}, "debug": {debug: true}, "log": {log: true}, "debug and log": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, w := newFakeGitea(t, ""), &watched{userHome: newHome(t), debug: level.debug}
			g.tokens[canary], g.password, g.otp = "all", canary+"-password", canary+"-otp"
			logFile := filepath.Join(w.dir, "log")
			if level.log {
				w.env[envLog] = logFile
			}
			secretsInUse(t, g, w)
			secretsOfEnvironment(t, g, w)
			secretsRefused(t, g, w)
			secretsInTrouble(t, g, w)
			everyCommandRan(t, w)
			if log, err := os.ReadFile(logFile); level.log && (err != nil || len(log) == 0) {
				t.Errorf("nothing was logged (%v)", err)
			}
			noSecretOutside(t, w.dir, "secrets")
		})
	}
}

func (w *watched) paste(t *testing.T, g *fakeGitea) {
	t.Helper()
	args := []string{"login", "--paste"}
	var flags []string
	if w.debug {
		flags = append(flags, "--debug")
	}
	w.see(t, true, args, loginPasting(t, w.userHome, g, g.host, flags...))
}

// secretsInUse has every command succeed.
func secretsInUse(t *testing.T, g *fakeGitea, w *watched) {
	t.Helper()
	password := canary + "-password\n" + canary + "-otp\n"
	w.run(t, true, canary, "login", "--with-token", "--ca-file", g.caFile, g.host)
	w.run(t, true, g.host, "get")
	w.run(t, true, password, "login", "-u", "alice", "--password-stdin", "--ca-file", g.caFile, g.host)
	w.run(t, true, canary, "register-app", "--with-token", "--ca-file", g.caFile, g.host)
	w.run(t, true, request("b.example.com", "alice", canary), "store")
	w.run(t, true, "b.example.com", "erase")
	w.run(t, true, "", "configure-docker", "--dry-run", g.host)
	w.run(t, true, "", "configure-docker", g.host)
	w.paste(t, g)
	expire(t, w.userHome, g.host)
	w.run(t, true, g.host, "get") // refreshes
	w.run(t, true, "", "status")
	w.run(t, true, "", "status", "--json")
	w.run(t, true, "unused", "list")
	t.Setenv("PATH", filepath.Dir(programOnPath(t))+string(os.PathListSeparator)+os.Getenv("PATH"))
	w.run(t, true, "", "doctor", g.host)
	w.run(t, true, "", "unconfigure-docker", g.host)
	w.run(t, true, "", "logout", g.host)
	w.run(t, true, "", "version")
}

// programOnPath is a file that doctor finds as the program.
func programOnPath(t *testing.T) string {
	t.Helper()
	return programs.Write(t, filepath.Join(t.TempDir(), program), "#!/bin/sh\n")
}

// secretsOfEnvironment takes the login from a variable.
func secretsOfEnvironment(t *testing.T, g *fakeGitea, w *watched) {
	t.Helper()
	w.env[envToken], w.env[envHost], w.env[envUser] = canary, g.host, "alice"
	w.run(t, true, g.host, "get")
	w.run(t, true, "", "list")
	w.run(t, true, "", "status")
	w.run(t, false, "", "doctor", g.host)
	for _, name := range []string{envToken, envHost, envUser} {
		delete(w.env, name)
	}
}

// secretsRefused has the arguments, the server and the store refuse.
func secretsRefused(t *testing.T, g *fakeGitea, w *watched) {
	t.Helper()
	for _, host := range []string{g.host, "127.0.0.1:1", "http://git.example.com", "a b", "https://alice:" + canary + "@git.example.com"} {
		w.run(t, false, canary+"-wrong", "login", "--with-token", "--ca-file", g.caFile, host)
		w.run(t, false, canary+"-wrong\n", "login", "-u", "alice", "--password-stdin", "--ca-file", g.caFile, host)
		w.run(t, false, pasteURI+"/?code="+canary+"&state="+canary, "login", "--paste", "--ca-file", g.caFile, host)
		w.run(t, false, canary, "login", "--with-token", "--storage", "helper:missing", host)
		w.run(t, false, canary+"\n"+canary, "register-app", "-u", "alice", "--password-stdin", host)
		w.run(t, false, "", "doctor", host)
	}
	address := "https://alice:" + canary + "@" + g.host
	w.run(t, false, address, "get")
	w.run(t, true, address, "erase")
	w.run(t, false, request(address, "alice", canary), "store")
	w.run(t, false, request(g.host, "<token>", canary), "store")
	w.run(t, false, `{"ServerURL":"`+g.host+`","Secret":"`+canary, "store")
	w.run(t, false, "", "configure-docker", address)
	w.run(t, false, "", "version", "now")
}

// secretsInTrouble has the session end, and the files be broken.
func secretsInTrouble(t *testing.T, g *fakeGitea, w *watched) {
	t.Helper()
	w.paste(t, g)
	expire(t, w.userHome, g.host)
	g.broken = true
	w.run(t, false, g.host, "get")
	g.broken, g.refusal = false, "invalid_grant"
	w.run(t, false, g.host, "get")
	w.run(t, false, "", "doctor", g.host)

	dockerConfig := filepath.Join(w.env["DOCKER_CONFIG"], "config.json")
	if err := ownfile.WritePrivate(dockerConfig, []byte(`{"auths":{"git.example.com":{"auth":"`+canary)); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"configure-docker", "unconfigure-docker", "doctor"} {
		w.run(t, false, "", command, g.host)
	}
	if err := os.Remove(dockerConfig); err != nil {
		t.Fatal(err)
	}

	if err := ownfile.WritePrivate(filepath.Join(w.env[envDir], "hosts.json"), []byte(`{"version":99}`)); err != nil {
		t.Fatal(err)
	}
	w.run(t, false, request(g.host, "alice", canary), "store")
	w.run(t, false, canary, "login", "--with-token", "--ca-file", g.caFile, g.host)
	for _, verb := range []string{"get", "erase", "list"} {
		w.run(t, false, g.host, verb)
	}
	w.run(t, false, "", "status")
	w.run(t, false, "", "logout", g.host)
}

// everyCommandRan fails the test if a command has not been seen to succeed and
// to fail.
func everyCommandRan(t *testing.T, w *watched) {
	t.Helper()
	names := []string{"store", "get", "erase", "list"}
	for _, cmd := range (&helper{}).rootCommand().Commands() {
		names = append(names, cmd.Name())
	}
	for _, name := range names {
		if !slices.Contains(w.succeeded, name) || !slices.Contains(w.failed, name) {
			t.Errorf("%s did not both succeed and fail", name)
		}
	}
}

// noSecretOutside fails the test if a file holds a secret that is not in a
// directory of that name.
func noSecretOutside(t *testing.T, root, store string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) == store {
			return err
		}
		data, err := os.ReadFile(path)
		if holdsSecret(string(data)) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
