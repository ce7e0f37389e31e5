package dockerconfig_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

// logins is a file with one login for each key; each user is called after it.
func logins(keys ...string) string {
	var entries []string
	for _, key := range keys {
		entries = append(entries, fmt.Sprintf("%q:{%q:%q}", key, "auth", base64.StdEncoding.EncodeToString([]byte("of "+key+":s3cret"))))
	}
	return `{"auths":{` + strings.Join(entries, ",") + `}}`
}

// A login is for the place that its key names, and the most exact one counts. No
// other is sent there, in whichever order a file is read.
func TestCredentialOfThePlace(t *testing.T) {
	namespaces := []string{"h.example", "h.example/alice", "h.example/alice/app", "h.example/bob", "other.example/alice/app"}
	hub := []string{"https://index.docker.io/v1/access-token", "https://index.docker.io/v1/", "https://index.docker.io/v1/refresh-token"}
	ports := []string{"h.example", "h.example:443", "h.example:80", "h.example:5000"}
	for _, test := range []struct {
		name  string
		keys  []string
		place dockerconfig.Place
		want  string
	}{
		{"an image", namespaces, dockerconfig.Place{Host: "h.example", Repository: "alice/app"}, "h.example/alice/app"},
		{"a part of it", namespaces, dockerconfig.Place{Host: "h.example", Repository: "alice/app/sub"}, "h.example/alice/app"},
		{"a namespace", namespaces, dockerconfig.Place{Host: "h.example", Repository: "alice/other"}, "h.example/alice"},
		{"an owner", namespaces, dockerconfig.Place{Host: "h.example", Repository: "alice"}, "h.example/alice"},
		{"one that begins alike", namespaces, dockerconfig.Place{Host: "h.example", Repository: "alice2/app"}, "h.example"},
		{"nobody's", namespaces, dockerconfig.Place{Host: "h.example", Repository: "carol/app"}, "h.example"},
		{"the host", namespaces, dockerconfig.Place{Host: "h.example"}, "h.example"},
		{"others alone", namespaces[1:], dockerconfig.Place{Host: "h.example", Repository: "carol/app"}, ""},
		{"the host, others alone", namespaces[1:], dockerconfig.Place{Host: "h.example"}, ""},
		{"Docker Hub", hub, dockerconfig.Place{Host: "index.docker.io"}, hub[1]},
		{"Docker Hub's tokens alone", []string{hub[0], hub[2]}, dockerconfig.Place{Host: "index.docker.io"}, ""},
		{"https", ports, dockerconfig.Place{Host: "h.example"}, "h.example"},
		{"https at its port", ports[1:], dockerconfig.Place{Host: "h.example"}, "h.example:443"},
		{"http at its port", ports[1:], dockerconfig.Place{Host: "h.example", PlainHTTP: true}, "h.example:80"},
		{"http at 443", ports, dockerconfig.Place{Host: "h.example:443", PlainHTTP: true}, "h.example:443"},
		{"http, and a login for 443", ports[1:2], dockerconfig.Place{Host: "h.example", PlainHTTP: true}, ""},
		{"capitals", []string{"H.Example/alice", "h.exampLe", "H.Example"}, dockerconfig.Place{Host: "h.example"}, "H.Example"},
		{"capitals of a namespace's host", []string{"H.Example/alice", "H.Example"}, dockerconfig.Place{Host: "h.example", Repository: "alice/app"}, "H.Example/alice"},
		{"the exact one before capitals", []string{"H.Example", "h.example"}, dockerconfig.Place{Host: "h.example"}, "h.example"},
		{"a sign that only looks alike", []string{"\u212a.example"}, dockerconfig.Place{Host: "k.example"}, ""},
		{"another port", ports, dockerconfig.Place{Host: "h.example:5000"}, "h.example:5000"},
		{"a port without a login", ports, dockerconfig.Place{Host: "h.example:5001"}, ""},
		{"a URL", []string{"https://h.example/v2/"}, dockerconfig.Place{Host: "h.example"}, "https://h.example/v2/"},
		{"the host before a URL", []string{"https://h.example/v1/", "h.example"}, dockerconfig.Place{Host: "h.example"}, "h.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := ""
			if test.want != "" {
				want = "of " + test.want
			}
			for _, in := range []struct{ what, docker, podman string }{{"docker", logins(test.keys...), ""}, {"podman", "", logins(test.keys...)}} {
				c := load(t, in.docker, in.podman, nil)
				for range 5 { // the order of a map
					got, err := c.Credential(t.Context(), test.place, io.Discard)
					// The user's name ends at the first colon.
					if short, _, _ := strings.Cut(want, ":"); err != nil || got.Username != short {
						t.Errorf("%s: got %q, %v, want %q", in.what, got.Username, err, short)
					}
				}
			}
		})
	}
}

// Two places have one scope if they have one login.
func TestScope(t *testing.T) {
	c := load(t, "", logins("h.example", "h.example/alice"), nil)
	scope := func(repository string) string {
		return c.Scope(dockerconfig.Place{Host: "h.example", Repository: repository})
	}
	if scope("alice/app") != scope("alice/other") || scope("bob/app") != scope("carol/app") || scope("alice/app") == scope("bob/app") {
		t.Errorf("got %q, %q, %q", scope("alice/app"), scope("alice/other"), scope("bob/app"))
	}
}

// Without HOME the configuration is that of the user database, or there is none.
// What is in the working directory is not read.
func TestWorkingDirectoryIsNotRead(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, path := range []string{".docker/config.json", ".config/containers/auth.json", "containers/auth.json", "config/containers/auth.json"} {
		write(t, filepath.Join(dir, path), `{"auths":{"git.example.com":`+aliceSecret+`},"currentContext":"evil"}`)
	}
	account, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		name, home string
		env        map[string]string
		want       string
	}{
		{"unset", "", nil, filepath.Join(account.HomeDir, ".docker")},
		{"relative XDG", "", map[string]string{"XDG_CONFIG_HOME": "config", "XDG_RUNTIME_DIR": "."}, filepath.Join(account.HomeDir, ".docker")},
		{"relative", ".", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("HOME", test.home)
			c, err := dockerconfig.Load("", func(key string) string { return test.env[key] }, nil)
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), "relative") {
					t.Errorf("got %v, want an error", err)
				}
				return
			}
			if err != nil || c.Dir != test.want || c.CurrentContext() == "evil" {
				t.Fatalf("got %+v, %v, want %s", c, err, test.want)
			}
			if _, err := os.Stat(filepath.Join(account.HomeDir, ".config", "containers")); err == nil {
				t.Skip("this machine has logins of podman")
			}
			if got, err := c.Credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, io.Discard); err != nil || !got.IsZero() {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
