package dockerconfig_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// aliceSecret is base64 of "alice:s3cret".
const aliceSecret = `{"auth":"YWxpY2U6czNjcmV0"}`

func TestCredential(t *testing.T) {
	alice := registry.AuthConfig{Username: "alice", Password: "s3cret"}
	for _, test := range []struct {
		name   string
		config string
		podman string
		env    map[string]string
		want   registry.AuthConfig
		from   string
	}{
		{name: "nothing", config: `{}`},
		{name: "no file"},
		{name: "entry", config: `{"auths":{"git.example.com":` + aliceSecret + `}}`, want: alice, from: "the entry git.example.com in DIR/config.json"},
		{name: "entry written as a URL", config: `{"auths":{"https://git.example.com/v1/":` + aliceSecret + `}}`, want: alice, from: "the entry https://git.example.com/v1/ in DIR/config.json"},
		{name: "entry of another port", config: `{"auths":{"git.example.com:3000":` + aliceSecret + `}}`},
		{name: "entry of a longer host", config: `{"auths":{"git.example.com.evil.example":` + aliceSecret + `}}`},
		{name: "empty entry that a helper left", config: `{"auths":{"git.example.com":{}}}`},
		{
			name: "identity token", config: `{"auths":{"git.example.com":{"identitytoken":"tok"}}}`,
			want: registry.AuthConfig{Token: "tok"}, from: "the entry git.example.com in DIR/config.json",
		},
		{
			name: "environment before the file", config: `{"auths":{"git.example.com":{"identitytoken":"tok"}}}`,
			env:  map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{"git.example.com":` + aliceSecret + `}}`},
			want: alice, from: "DOCKER_AUTH_CONFIG",
		},
		{name: "helper", config: `{"credHelpers":{"git.example.com":"fake"}}`, want: registry.AuthConfig{Username: "bob", Password: "from-helper"}, from: "docker-credential-fake"},
		{name: "default helper", config: `{"credsStore":"fake"}`, want: registry.AuthConfig{Username: "bob", Password: "from-helper"}, from: "docker-credential-fake"},
		{name: "helper with a token", config: `{"credsStore":"token"}`, want: registry.AuthConfig{Token: "from-helper"}, from: "docker-credential-token"},
		{
			name: "own helper", config: `{"credsStore":"gitea"}`, want: registry.AuthConfig{Username: "me", Password: "own"}, from: "docker-credential-gitea",
		},
		{
			name: "own helper, from its variable", config: `{"credsStore":"gitea"}`, env: map[string]string{"DOCKER_CREDENTIAL_GITEA_TOKEN": "own"},
			want: registry.AuthConfig{Username: "me", Password: "own"}, from: "DOCKER_CREDENTIAL_GITEA_TOKEN",
		},
		{name: "helper that has nothing", config: `{"credsStore":"empty"}`},
		{name: "podman", podman: `{"auths":{"git.example.com":` + aliceSecret + `}}`, want: alice, from: "the entry git.example.com in DIR/.config/containers/auth.json"},
		{
			name: "docker before podman", config: `{"auths":{"git.example.com":` + aliceSecret + `}}`,
			podman: `{"auths":{"git.example.com":{"identitytoken":"tok"}}}`, want: alice, from: "the entry git.example.com in DIR/config.json",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.config, test.podman, test.env)
			got, err := c.Credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if from := strings.ReplaceAll(got.Origin.String(), c.Dir, "DIR"); from != test.from {
				t.Errorf("got it from %q, want %q", from, test.from)
			}
			if got.Origin = (registry.Origin{}); got != test.want {
				t.Errorf("got user %q, token %t; want user %q, token %t", got.Username, got.Token != "", test.want.Username, test.want.Token != "")
			}
		})
	}
}

func TestCredentialFailures(t *testing.T) {
	for _, test := range []struct {
		name   string
		config string
		env    map[string]string
		want   string
		hint   string
	}{
		{name: "helper fails", config: `{"credsStore":"broken"}`, want: "credential helper docker-credential-broken: ", hint: "echo git.example.com | docker-credential-broken get"},
		{name: "helper is not installed", config: `{"credsStore":"absent"}`, want: `docker-credential-absent`, hint: "--password-stdin"},
		{name: "helper with a path", config: `{"credsStore":"../evil"}`, want: `credential helper "../evil" has no valid name`},
		{name: "helper with a space", config: `{"credHelpers":{"git.example.com":"a b"}}`, want: `credential helper "a b" has no valid name`},
		{name: "malformed environment", env: map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{"git.example.com":{"auth":"s3cret!"}}}`}, want: "DOCKER_AUTH_CONFIG holds no valid docker configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := load(t, test.config, "", test.env).Credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, io.Discard)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error shows a secret: %v", err)
			}
			var helper *dockerconfig.HelperError
			if test.hint != "" && (!errors.As(err, &helper) || !strings.Contains(helper.Hint(), test.hint)) {
				t.Errorf("got no hint with %q: %v", test.hint, err)
			}
		})
	}
}

func TestCredentialIsInterrupted(t *testing.T) {
	c := load(t, `{"credsStore":"slow"}`, "", nil)
	ctx, cancel := context.WithCancel(t.Context())
	// The helper says on its standard error that it runs.
	_, err := c.Credential(ctx, dockerconfig.Place{Host: "git.example.com"}, writerFunc(cancel))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancelled context", err)
	}
}

func TestMalformedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"auths":`)
	c, err := dockerconfig.Load(dir, noEnvironment, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "config.json")) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, which passes for a connection that broke off", err)
	}
}

// What is wrong with one thing is no reason to do without the others, and is told.
func TestBrokenNeighbours(t *testing.T) {
	alice := registry.AuthConfig{Username: "alice", Password: "s3cret"}
	good := `"git.example.com":` + aliceSecret
	for _, test := range []struct {
		name, config, podman string
		env                  map[string]string
		told, err            string
	}{
		{name: "mark of UTF-8", config: "\ufeff" + `{"auths":{` + good + `}}`},
		{name: "entry of another registry", config: `{"auths":{` + good + `,"other.example.com":{"auth":"%%"}}}`, told: `the entry "other.example.com" is passed over: illegal base64`},
		{name: "entry of another registry that is none", config: `{"auths":{` + good + `,"other.example.com":7}}`, told: `the entry "other.example.com" is passed over`},
		{name: "another field", config: `{"HttpHeaders":7,"auths":{` + good + `}}`},
		{name: "its own entry", config: `{"auths":{"git.example.com":{"auth":"%%"}}}`, err: `config.json: the entry "git.example.com": illegal base64`},
		{name: "its own entry, and podman's", config: `{"auths":{"git.example.com":{"auth":"%%"}}}`, podman: `{"auths":{` + good + `}}`, told: "is passed over"},
		{name: "a comma too many", config: `{"auths":{},}`, podman: `{"auths":{` + good + `}}`, told: "config.json: invalid character '}'"},
		{name: "a comma too many, and nothing else", config: `{"auths":{},}`, err: "config.json: invalid character '}'"},
		{name: "the end is missing", config: `{"auths":`, env: map[string]string{"DOCKER_AUTH_CONFIG": `{"auths":{` + good + `}}`}, told: "it ends too early"},
		{name: "DOCKER_AUTH_CONFIG", config: `{"auths":{` + good + `}}`, env: map[string]string{"DOCKER_AUTH_CONFIG": "{"}, told: "DOCKER_AUTH_CONFIG holds no valid docker configuration"},
		{name: "helpers", config: `{"credHelpers":7,"auths":{}}`, err: "credHelpers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := load(t, test.config, test.podman, test.env)
			got, err := c.Credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, io.Discard)
			told := strings.Join(c.TakePassedOver(), "\n")
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if got.Origin = (registry.Origin{}); err != nil || got != alice {
				t.Errorf("got user %q, %v", got.Username, err)
			}
			if (test.told == "") != (told == "") || !strings.Contains(told, test.told) {
				t.Errorf("told %q, want %q", told, test.told)
			}
		})
	}
}

func TestLoadFindsDirectory(t *testing.T) {
	home, other := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	for _, test := range []struct{ name, flag, variable, want string }{
		{"option", "/opt/a", other, "/opt/a"},
		{"environment", "", other, other},
		{"default", "", "", filepath.Join(home, ".docker")},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := dockerconfig.Load(test.flag, func(key string) string {
				return map[string]string{"DOCKER_CONFIG": test.variable}[key]
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.Dir != test.want {
				t.Errorf("got %s, want %s", c.Dir, test.want)
			}
		})
	}
}

// load reads a configuration in a machine that has credential helpers called
// fake, token, empty, broken and slow.
func load(t *testing.T, config, podman string, env map[string]string) *dockerconfig.Config {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	bin, dir := t.TempDir(), t.TempDir()
	for name, script := range map[string]string{
		"fake":   `printf '{"Username":"bob","Secret":"from-helper"}'`,
		"gitea":  `printf '{"Username":"me","Secret":"own"}'`,
		"token":  `printf '{"Username":"<token>","Secret":"from-helper"}'`,
		"empty":  `printf 'credentials not found in native keychain'; exit 1`,
		"broken": `printf 'keyring is locked'; exit 1`,
		"slow":   `echo running >&2; exec sleep 600`,
	} {
		programs.Write(t, filepath.Join(bin, "docker-credential-"+name), "#!/bin/sh\n"+script+"\n")
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", dir)
	if config != "" {
		write(t, filepath.Join(dir, "config.json"), config)
	}
	if podman != "" {
		write(t, filepath.Join(dir, ".config", "containers", "auth.json"), podman)
	}
	c, err := dockerconfig.Load(dir, func(key string) string { return env[key] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func noEnvironment(string) string { return "" }

type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
