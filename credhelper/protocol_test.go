package credhelper

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
)

// request is what a client sends to "store".
func request(server, username, secret string) string {
	data, _ := json.Marshal(credentials.Credentials{ServerURL: server, Username: username, Secret: secret})
	return string(data)
}

func TestGetOfUnknownHostIsTheExactString(t *testing.T) {
	m := newHome(t)
	for _, address := range []string{"git.example.com", "https://git.example.com/v2/", "user@git.example.com", "ftp://x"} {
		out := m.run(t, address, "get")
		if out.code != 1 || out.stdout != "credentials not found in native keychain\n" || out.stderr != "" {
			t.Errorf("get %q: got %d %q %q", address, out.code, out.stdout, out.stderr)
		}
	}
	if out := m.run(t, " \n", "get"); out.stdout != "no credentials server URL\n" || out.code != 1 {
		t.Errorf("get of nothing: got %d %q", out.code, out.stdout)
	}
}

func TestEraseOfMissingEntrySucceeds(t *testing.T) {
	m := newHome(t)
	for _, address := range []string{"git.example.com", "http://git.example.com/", "a b"} {
		if out := m.run(t, address, "erase"); out.code != 0 || out.all() != "" {
			t.Errorf("erase %q: got %d %q", address, out.code, out.all())
		}
	}
}

func TestListAlwaysAnswersAnObject(t *testing.T) {
	m := newHome(t)
	if out := m.run(t, "unused", "list").must(t); out.stdout != "{}\n" {
		t.Errorf("got %q, want an empty object", out.stdout)
	}
	m.run(t, request("git.example.com", "alice", "s"), "store").must(t)
	m.run(t, request("https://index.docker.io/v1/", "hub", "s"), "store").must(t)
	m.env[envToken], m.env[envHost], m.env[envUser] = "s", "ci.example.com", "bot"
	want := `{"ci.example.com":"bot","git.example.com":"alice","https://index.docker.io/v1/":"hub"}` + "\n"
	if out := m.run(t, "unused", "list").must(t); out.stdout != want {
		t.Errorf("got %q, want %q", out.stdout, want)
	}
}

func TestStoreGetErase(t *testing.T) {
	m := newHome(t)
	if out := m.run(t, request("git.example.com", "alice", "s3cret"), "store").must(t); out.all() != "" {
		t.Errorf("store: got %q, want silence", out.all())
	}
	got := get(t, m, "git.example.com")
	if want := (credentials.Credentials{ServerURL: "git.example.com", Username: "alice", Secret: "s3cret"}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	m.run(t, "git.example.com", "erase").must(t)
	m.run(t, "git.example.com", "erase").must(t)
	if out := m.run(t, "git.example.com", "get"); out.code != 1 {
		t.Error("the login was not erased")
	}
}

// All spellings of a host find the same login.
func TestSpellingsOfHost(t *testing.T) {
	m := newHome(t)
	m.run(t, request("https://Git.Example.com/v2/", "alice", "s"), "store").must(t)
	for _, address := range []string{
		"git.example.com", "GIT.example.com", "https://git.example.com", "http://git.example.com/", "git.example.com:443",
		"git.example.com/owner/image", "https://git.example.com/v1/", " git.example.com\n", "git.example.com.",
	} {
		if got := get(t, m, address); got.Username != "alice" {
			t.Errorf("get %q: got %q", address, got.Username)
		}
	}
}

// S7: gh's CVE-2024-53858.
func TestLookAlikeHostGetsNoCredential(t *testing.T) {
	m := newHome(t)
	m.run(t, request("gitea.example.com", "alice", "s"), "store").must(t)
	m.env[envToken], m.env[envHost] = "t", "ci.example.com"
	for _, address := range []string{
		"evil-gitea.example.com", "gitea.example.com.evil", "gitea.example.com:444", "user@gitea.example.com", "xn--gitea.example.com",
		"gitea.example.com@evil.com", "evil.com/gitea.example.com", "evil.com?gitea.example.com", "evil.com#gitea.example.com",
		"gitea.example.com\\.evil.com", "gitea.example.com..", "[::1]", "gіtea.example.com", "example.com",
		"ci.example.com.evil", "ci.example.com:8443", "evil-ci.example.com",
	} {
		if out := m.run(t, address, "get"); out.code != 1 || strings.Contains(out.stdout, "Secret") {
			t.Errorf("get %q: got %d %q", address, out.code, out.stdout)
		}
	}
}

// S8: git's CVE-2024-50349 and CVE-2024-52006.
func TestControlBytesAreRefused(t *testing.T) {
	m := newHome(t)
	m.run(t, request("git.example.com", "alice", "s"), "store").must(t)
	for _, address := range []string{"git.exam\nple.com", "git.exam\r\nple.com", "git.example.com\x00", "git.example.com\nevil.com", "git\x1b.example.com"} {
		if out := m.run(t, address, "get"); out.code != 1 || strings.Contains(out.stdout, "alice") {
			t.Errorf("get %q: got %d %q", address, out.code, out.stdout)
		}
	}
	for _, body := range []string{
		request("git.exam\nple.com", "a", "s"), request("git.example.com", "a\rb", "s"), request("git.example.com", "a", "s\n"),
		request("git.example.com", "<token>", "s"), request("git.example.com", "a", ""), request("git.example.com", "a:b", "s"),
	} {
		if out := m.run(t, body, "store"); out.code != 1 {
			t.Errorf("store %q: got %d, want a refusal", body, out.code)
		}
	}
}

func TestStoreSaysWhatIsMissing(t *testing.T) {
	m := newHome(t)
	if out := m.run(t, request("", "a", "s"), "store"); out.stdout != "no credentials server URL\n" {
		t.Errorf("got %q", out.stdout)
	}
	if out := m.run(t, request("h", "", "s"), "store"); out.stdout != "no credentials username\n" {
		t.Errorf("got %q", out.stdout)
	}
}

// S6: a client cannot make us read without end.
func TestEndlessRequestIsRefused(t *testing.T) {
	out := newHome(t).run(t, strings.Repeat("a", 10*maxRequest), "get")
	if out.code != 1 || !strings.Contains(out.stdout, "request is over") {
		t.Errorf("got %d %.60q", out.code, out.stdout)
	}
}

func TestEnvironmentTokenIsForItsHostAlone(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		host string
		want string // user; empty for none
	}{
		"ours":              {map[string]string{envToken: "t", envHost: "https://Git.example.com/", envUser: "bot"}, "git.example.com", "bot"},
		"without user":      {map[string]string{envToken: "t", envHost: "git.example.com"}, "git.example.com", "token"},
		"without host":      {map[string]string{envToken: "t"}, "git.example.com", ""},
		"other host":        {map[string]string{envToken: "t", envHost: "git.example.com"}, "other.example.com", ""},
		"job":               {map[string]string{"GITEA_TOKEN": "t", "GITEA_SERVER_URL": "https://git.example.com", "GITEA_ACTOR": "a"}, "git.example.com", "a"},
		"job, GitHub names": {map[string]string{"GITEA_TOKEN": "t", "GITHUB_SERVER_URL": "https://git.example.com", "GITHUB_ACTOR": "a"}, "git.example.com", "a"},
		"job elsewhere":     {map[string]string{"GITEA_TOKEN": "t", "GITEA_SERVER_URL": "https://git.example.com"}, "evil.example.com", ""},
		"job without url":   {map[string]string{"GITEA_TOKEN": "t"}, "git.example.com", ""},
		"GitHub's own":      {map[string]string{"GITHUB_TOKEN": "t", "GITHUB_SERVER_URL": "https://github.com"}, "github.com", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := environmentCredential(func(key string) string { return tt.env[key] }, tt.host)
			if got.username != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q %v, want %q", got.username, ok, tt.want)
			}
		})
	}
}

// "docker login" without a user name stores what get has returned.
func TestStoreOfEnvironmentTokenWritesNothing(t *testing.T) {
	m := newHome(t)
	m.env[envToken], m.env[envHost] = "t", "git.example.com"
	m.run(t, request("git.example.com", "token", "t"), "store").must(t)
	delete(m.env, envToken)
	if out := m.run(t, "git.example.com", "get"); out.code != 1 {
		t.Errorf("the environment's token was stored: %q", out.all())
	}
}

func TestUnknownCommandIsUsageError(t *testing.T) {
	for _, args := range [][]string{{"frobnicate"}, {"login"}, {"login", "a", "b"}, {"status", "x"}, {"login", "--nonsense", "h"}, {"configure-docker"}} {
		if out := newHome(t).run(t, "", args...); out.code != exitUsage || out.stdout != "" {
			t.Errorf("%v: got %d %q, want %d", args, out.code, out.stdout, exitUsage)
		}
	}
}

// FuzzAddress looks for an address that finds the login of a host it does not
// name, and for one that get and store see differently.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"git.example.com", "https://git.example.com:443/v2/", "user:pw@git.example.com", "git.example.com\r\n.evil", "[::1]:3000", "//x", "a+b",
		"GIT.example.com.", "http://git.example.com:80", "git.example.com:0443", "\u202egit.example.com", "%67it.example.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		host, err := registry.NormalizeHost(address)
		if err != nil {
			return
		}
		if again, err := registry.NormalizeHost(host); err != nil || again != host {
			t.Errorf("%q has the host %q, which has %q (%v)", address, host, again, err)
		}
		if strings.ContainsAny(host, "+/\\@ \r\n\x00") || host != strings.ToLower(host) {
			t.Errorf("%q has the host %q", address, host)
		}
		if file := store.FileName(host); strings.ReplaceAll(file, "+", ":") != host {
			t.Errorf("the file name %q is not the host's %q alone", file, host)
		}
	})
}

// What a file or a secret leaves around a token is no part of it, and what no
// request could carry is not handed on: the variable is named.
func TestTokenOfTheEnvironment(t *testing.T) {
	for _, test := range []struct {
		name, token, stdout, stderr string
		code                        int
	}{
		{"newline", "the-token\n", `"Secret":"the-token"`, "", exitOK},
		{"end of a line of Windows", "the-token\r\n", `"Secret":"the-token"`, "", exitOK},
		{"mark of UTF-8", "\ufeffthe-token", `"Secret":"the-token"`, "", exitOK},
		{"two lines", "the\ntoken", envToken + ": control characters in the credential", "", exitError},
		{"nothing", "", "credentials not found in native keychain", envToken + " is set, but empty", exitError},
		{"an empty line", "\n", "credentials not found in native keychain", envToken + " is set, but empty", exitError},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newHome(t)
			m.env[envToken], m.env[envHost] = test.token, "git.example.com"
			got := m.run(t, "git.example.com", "get")
			if got.code != test.code || !strings.Contains(got.stdout, test.stdout) || !strings.Contains(got.stderr, test.stderr) || test.stderr == "" && got.stderr != "" {
				t.Errorf("got %d %q %q", got.code, got.stdout, got.stderr)
			}
			if other := m.run(t, "other.example.com", "get"); other.stderr != "" || strings.Contains(other.stdout, envToken) {
				t.Errorf("of another host: %q %q", other.stdout, other.stderr)
			}
		})
	}
}

func ExampleMain_list() {
	env := map[string]string{envDir: "/nonexistent"}
	code := Main(context.Background(), System{
		Args: []string{"list"},
		LookupEnv: func(key string) (string, bool) {
			value, set := env[key]
			return value, set
		},
		Stdin:  strings.NewReader(""),
		Stdout: os.Stdout,
		Stderr: os.Stderr,
	})
	fmt.Println("exit code", code)
	// Output:
	// {}
	// exit code 0
}
