package credhelper

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

func TestConfigureDocker(t *testing.T) {
	tests := map[string]struct {
		before string
		args   []string
		after  string
	}{
		"empty": {"", []string{"configure-docker", "git.example.com"}, "{\n\t\"credHelpers\": {\n\t\t\"git.example.com\": \"gitea\"\n\t}\n}"},
		"several, with port and IPv6": {
			"{}\n",
			[]string{"configure-docker", "https://Git.example.com/x", "[::1]:3000"},
			"{\n\t\"credHelpers\": {\n\t\t\"git.example.com\": \"gitea\",\n\t\t\"[::1]:3000\": \"gitea\"\n\t}\n}\n",
		},
		// S17: docker/cli's own Save drops what it does not know.
		"unknown keys, order, numbers and indentation": {
			"{\n  \"zz\": {\"n\": 1.0e3, \"x\": null},\n  \"credHelpers\": {\n    \"other.example.com\": \"ecr-login\"\n  },\n  \"aa\": [1, 2]\n}\n",
			[]string{"configure-docker", "git.example.com"},
			"{\n  \"zz\": {\"n\": 1.0e3, \"x\": null},\n  \"credHelpers\": {\n    \"other.example.com\": \"ecr-login\",\n    \"git.example.com\": \"gitea\"\n  },\n  \"aa\": [1, 2]\n}\n",
		},
		"plain login": {
			`{"auths":{"git.example.com":{"auth":"Y2FuYXJ5","email":"e"}}}`,
			[]string{"configure-docker", "git.example.com"},
			`{"auths":{"git.example.com":{"email":"e"}},"credHelpers":{"git.example.com":"gitea"}}`,
		},
		// What Docker calls a registry is what stands in the names of images.
		"port 443": {
			`{"auths":{"git.example.com:443":{"auth":"Y2FuYXJ5"},"git.example.com":{}}}`,
			[]string{"configure-docker", "git.example.com:443"},
			`{"auths":{"git.example.com:443":{},"git.example.com":{}},"credHelpers":{"git.example.com:443":"gitea"}}`,
		},
		"Docker Hub": {
			`{"auths":{"https://index.docker.io/v1/":{"auth":"Y2FuYXJ5"},"https://index.docker.io/v1/refresh-token":{"auth":"Y2FuYXJ5"}}}`,
			[]string{"configure-docker", "docker.io"},
			`{"auths":{"https://index.docker.io/v1/":{},"https://index.docker.io/v1/refresh-token":{}},"credHelpers":{"https://index.docker.io/v1/":"gitea"}}`,
		},
		"plain logins under other spellings": {
			`{"auths":{"https://git.example.com":{"auth":"Y2FuYXJ5"},"https://git.example.com/v1/":{"Auth":"Y2FuYXJ5"},"git.example.com:3000":{"auth":"eDp5"}}}`,
			[]string{"configure-docker", "git.example.com"},
			`{"auths":{"https://git.example.com":{},"https://git.example.com/v1/":{},"git.example.com:3000":{"auth":"eDp5"}},"credHelpers":{"git.example.com":"gitea"}}`,
		},
		"keys in another case": {
			`{"CREDHELPERS":{"git.example.com":"gitea"},"CredsStore":"gitea"}`,
			[]string{"unconfigure-docker", "--default", "git.example.com"},
			`{}`,
		},
		"default": {`{}`, []string{"configure-docker", "--default"}, "{\n\t\"credsStore\": \"gitea\"\n}"},
		"undo": {
			`{"credHelpers":{"git.example.com":"gitea"},"credsStore":"gitea"}`,
			[]string{"unconfigure-docker", "--default", "git.example.com"},
			"{}",
		},
		"undo leaves others": {
			`{"credHelpers":{"git.example.com":"gitea","a.example.com":"other","b.example.com":"gitea"}}`,
			[]string{"unconfigure-docker", "git.example.com", "a.example.com"},
			`{"credHelpers":{"a.example.com":"other","b.example.com":"gitea"}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newHome(t)
			file := writeDocker(t, m, tt.before)
			dry := append([]string{tt.args[0], "--dry-run"}, tt.args[1:]...)
			shown := m.run(t, "", dry...).must(t).stdout
			if got := read(t, file); got != tt.before {
				t.Errorf("--dry-run changed the file to %s", got)
			}
			out := m.run(t, "", tt.args...).must(t)
			if out.stdout != shown {
				t.Errorf("--dry-run showed %q, want %q", shown, out.stdout)
			}
			if strings.Contains(out.all(), "Y2FuYXJ5") {
				t.Errorf("the login that was removed is shown: %s", out.all())
			}
			if got := read(t, file); got != tt.after {
				t.Errorf("got %s\nwant %s", got, tt.after)
			}
			if again := m.run(t, "", tt.args...).must(t); !strings.Contains(again.stderr, "nothing to change") {
				t.Errorf("a second time: got %q", again.all())
			}
		})
	}
}

func writeDocker(t *testing.T, m *userHome, text string) string {
	t.Helper()
	file := filepath.Join(m.env["DOCKER_CONFIG"], "config.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// S17
func TestConfigureDockerKeepsLinkAndMode(t *testing.T) {
	m := newHome(t)
	file := writeDocker(t, m, "{}")
	target := filepath.Join(m.dir, "dotfiles.json")
	if err := os.Rename(file, target); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
	m.run(t, "", "configure-docker", "git.example.com").must(t)
	if info, err := os.Lstat(file); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got the mode %v, want 0640", info.Mode())
	}
	if !strings.Contains(read(t, target), "gitea") {
		t.Error("the file that the link leads to was not changed")
	}
}

func TestConfigureDockerReplacesNothingUnasked(t *testing.T) {
	m := newHome(t)
	for _, before := range []string{`{"credHelpers":{"git.example.com":"ecr-login"}}`, `not json`, `[]`} {
		file := writeDocker(t, m, before)
		out := m.run(t, "", "configure-docker", "git.example.com")
		if out.code != exitError || read(t, file) != before {
			t.Errorf("%s: got %d and %s", before, out.code, read(t, file))
		}
	}
	writeDocker(t, m, `{"credHelpers":{"git.example.com":"ecr-login"}}`)
	m.run(t, "", "configure-docker", "--force", "git.example.com").must(t)
	// Docker takes its own keys in any case.
	before := `{"CredsStore":"desktop"}`
	file := writeDocker(t, m, before)
	if out := m.run(t, "", "configure-docker", "--default"); out.code != exitError || read(t, file) != before {
		t.Errorf("got %d and %s", out.code, read(t, file))
	}
}

func TestConfigFile(t *testing.T) {
	tests := map[string]struct {
		text, want string
	}{
		"empty":         {`{}`, ""},
		"full":          {`{"storage":"pass","hosts":{"git.example.com":{"rootURL":"https://x/","caFiles":["/a"],"insecure":true}}}`, ""},
		"unknown field": {`{"hosts":{"h":{"rootUrl2":"x"}}}`, "rootUrl2"},
		"spelling":      {`{"hosts":{"https://H/":{}}}`, `write "https://H/" as "h"`},
		"storage":       {`{"storage":"cloud"}`, "unknown storage"},
		"host storage":  {`{"hosts":{"h":{"storage":"helper:gitea"}}}`, "would call itself"},
		"no JSON":       {`x`, "invalid character"},
	}
	for name, tt := range tests {
		_, err := parseConfig([]byte(tt.text))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// A scope belongs to the application that it was made for.
func TestSettingsPrecedence(t *testing.T) {
	flags := settings{ClientID: "mine"}
	file := settings{ClientID: "theirs", Scope: "all", RootURL: "https://x", Storage: "pass"}
	got := flags.or(file).or(settings{Storage: "file", CAFiles: []string{"/a"}})
	if got.ClientID != "mine" || got.Scope != "" || got.RootURL != "https://x" || got.Storage != "pass" || len(got.CAFiles) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestDoctor(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	check := func(wantCode int, want ...string) {
		t.Helper()
		out := m.run(t, "", "doctor", g.host)
		if out.code != wantCode {
			t.Errorf("exit code %d, want %d", out.code, wantCode)
		}
		for _, text := range want {
			if !strings.Contains(out.stdout, text) {
				t.Errorf("got %s\nwant it to say %q", out.stdout, text)
			}
		}
	}
	check(exitError, "not on PATH", "no helper is asked for", "not logged in")
	if err := os.Symlink(os.Args[0], filepath.Join(bin, program)); err != nil {
		t.Fatal(err)
	}
	writeDocker(t, m, `{"credsStore":"desktop","auths":{"plain.example.com":{"auth":"eDp5"}}}`)
	m.env[envToken] = "x"
	check(exitError, "docker-credential-desktop is asked for", `a login to "plain.example.com" in plain text`, "no host is given")
	delete(m.env, envToken)
	m.run(t, "", "configure-docker", g.host).must(t)
	g.tokens["the-token"] = "write:package"
	m.run(t, "the-token", "login", "--with-token", "--ca-file", g.caFile, g.host).must(t)
	check(exitOK, "this program is asked for", "stored in plain text", "(push and pull)")
	m.env["DOCKER_AUTH_CONFIG"] = `{"auths":{"` + g.host + `":{"auth":"eDp5"}}}`
	check(exitError, "takes precedence")
	delete(m.env, "DOCKER_AUTH_CONFIG")
	delete(g.tokens, "the-token")
	check(exitError, "the server refuses the credential of docker-credential-gitea")
}

func TestStatusAndLogout(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	if out := m.run(t, "", "status").must(t); out.stdout != "no logins\n" {
		t.Errorf("got %q", out.stdout)
	}
	if out := m.run(t, "", "status", "--json").must(t); out.stdout != "[]\n" {
		t.Errorf("got %q", out.stdout)
	}
	loginPasting(t, m, g, g.host).must(t)
	m.run(t, request("b.example.com", "bob", "s"), "store").must(t)
	m.env[envToken], m.env[envHost] = "s", "ci.example.com"
	out := m.run(t, "", "status").must(t)
	for _, want := range []string{g.host, "alice", "oauth", "then refreshed", "b.example.com", "ci.example.com", "environment"} {
		if !strings.Contains(out.stdout, want) {
			t.Errorf("got %s\nwant it to say %q", out.stdout, want)
		}
	}
	out = m.run(t, "", "logout", g.host, "unknown.example.com").must(t)
	for _, want := range []string{"logged out from " + g.host, "/user/settings/applications", "not logged in to unknown.example.com"} {
		if !strings.Contains(out.stderr, want) {
			t.Errorf("got %s\nwant it to say %q", out.stderr, want)
		}
	}
	m.run(t, "", "logout", "--all").must(t)
	m.run(t, "", "logout", "--all").must(t)
	if left, _ := filepath.Glob(filepath.Join(m.env[envDir], "secrets", "*")); len(left) > 0 {
		t.Errorf("secrets are left: %v", left)
	}
}

func TestIndexOfNewerVersionIsNotTouched(t *testing.T) {
	m := newHome(t)
	file := filepath.Join(m.env[envDir], "hosts.json")
	if err := ownfile.WritePrivate(file, []byte(`{"version":99}`)); err != nil {
		t.Fatal(err)
	}
	if out := m.run(t, request("h", "a", "s"), "store"); out.code != 1 || !strings.Contains(out.stdout, "version 99") {
		t.Errorf("got %d %q", out.code, out.stdout)
	}
	if read(t, file) != `{"version":99}` {
		t.Error("the index was changed")
	}
}
