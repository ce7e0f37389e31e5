package plugin_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin"
)

// Secrets that are easily found, in their shapes.
const (
	canaryToken = "cafe0123456789abcdef0123456789abcdefcafe"
	canaryJWT   = "eyJjYW5hcnkiOiJjYW5hcnkifQ.eyJjYW5hcnkiOiJjYW5hcnkifQ.Q0FOQVJZ"
	canaryKey   = "-----BEGIN PRIVATE KEY-----\nQ0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5\n-----END PRIVATE KEY-----\n"
	canaryWord  = "CANARYcanary"
)

var shapes = []string{canaryToken, canaryJWT, canaryKey, "https://me:" + canaryWord + "@127.0.0.1:1/me/app", "me:" + canaryWord + "@127.0.0.1:1/me/app"}

func showsCanary(text string) bool {
	return slices.ContainsFunc([]string{canaryToken, canaryJWT, "Q0FOQVJZ", canaryWord}, func(s string) bool { return strings.Contains(text, s) })
}

// tagsMayBeHashes are options whose values may look like a token: a tag is often
// the hash of a commit.
var tagsMayBeHashes = []string{"tag"}

// A secret is given in every place where any command takes a value: each
// argument, option and variable, and each field of the file. It is shown nowhere.
// The commands and options are those of the program itself.
func TestMisplacedSecretsAreNotShown(t *testing.T) {
	t.Chdir(t.TempDir())
	server := httptest.NewServer(http.NotFoundHandler()) // fails at once
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	var ran int
	for _, command := range plugin.Command().Commands() {
		if command.Name() == "docker-cli-plugin-hooks" { // docker alone calls it
			continue
		}
		// Each place gets one of the shapes, and each shape is in many places.
		for i := range misplaced(command, host, "") {
			args := misplaced(command, host, shapes[ran%len(shapes)])[i]
			if slices.Contains(tagsMayBeHashes, strings.TrimLeft(strings.Split(args[1], "=")[0], "-")) {
				args = misplaced(command, host, canaryJWT)[i]
			}
			d := newMisplaced(t)
			d.run(t.Context(), args...)
			d.mustNotShow(t, args)
			ran++
		}
	}
	for _, variable := range variables() {
		d := newMisplaced(t)
		d.env[variable] = shapes[ran%len(shapes)]
		for _, args := range [][]string{{"ls", host + "/me"}, {"config", host}, {"push", "app", host + "/me/app"}} {
			d.run(t.Context(), args...)
			d.mustNotShow(t, append(args, variable))
			ran++
		}
	}
	if ran < 300 {
		t.Errorf("only %d commands ran", ran)
	}
}

// misplaced are calls of a command with the secret in each place.
func misplaced(command *cobra.Command, host, secret string) [][]string {
	name := command.Name()
	calls := [][]string{{name, secret}, {name, host + "/me/app", secret}, {"-D", name, secret, host + "/me/app"}}
	add := func(f *pflag.Flag) {
		calls = append(calls, []string{name, "--" + f.Name + "=" + secret, "app", host + "/me/app"})
		if f.NoOptDefVal == "" {
			calls = append(calls, []string{name, "--" + f.Name, secret, "app", host + "/me/app"})
		}
	}
	command.Flags().VisitAll(add)
	command.InheritedFlags().VisitAll(add)
	return append(calls, []string{name, "-p" + secret}, []string{name, "--password", secret}, []string{name, "--token=" + secret})
}

// variables are those of the options, and the others that are read.
func variables() []string {
	all := []string{
		"DOCKER_GITEA_TOKEN", "GITEA_TOKEN", "DOCKER_GITEA_HOST", "GITEA_SERVER_URL", "GITHUB_SERVER_URL", "DOCKER_HOST", "DOCKER_CONTEXT",
		"DOCKER_AUTH_CONFIG", "DOCKER_API_VERSION", "REGISTRY_AUTH_FILE", "DOCKER_GITEA_CONFIG_FILE",
	}
	for _, command := range plugin.Command().Commands() {
		command.Flags().VisitAll(func(f *pflag.Flag) {
			all = append(all, "DOCKER_GITEA_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")))
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A password in a place beside a secret has no shape, and is not shown either.
func TestMisplacedPasswordsAreNotShown(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, place := range []struct {
		name string
		args []string
		env  map[string]string
		file string
	}{
		{name: "key", args: []string{"ls", "--cert", "c", "--key", canaryWord, "127.0.0.1:1/me"}},
		{name: "key's variable", args: []string{"ls", "127.0.0.1:1/me"}, env: map[string]string{"DOCKER_GITEA_CERT": "c", "DOCKER_GITEA_KEY": canaryWord}},
		{name: "daemon", args: []string{"push", "app", "127.0.0.1:1/me/app"}, env: map[string]string{"DOCKER_HOST": "tcp://me:" + canaryWord + "@127.0.0.1:1"}},
		{name: "standard input", args: []string{"ls", "--password-stdin=" + canaryWord, "127.0.0.1:1/me"}},
		{name: "file", args: []string{"ls", "127.0.0.1:1/me"}, file: "{url: '127.0.0.1:1', credential: {file: " + canaryWord + "}}"},
		{name: "variable", args: []string{"config", "127.0.0.1:1"}, file: "{url: '127.0.0.1:1', credential: {env: " + canaryWord + "}}"},
		{name: "field", args: []string{"ls", "127.0.0.1:1/me"}, file: "{url: '127.0.0.1:1', token: " + canaryWord + "}"},
		{name: "url", args: []string{"ls", "127.0.0.1:1/me"}, file: "{url: 'https://me:" + canaryWord + "@127.0.0.1:1'}"},
		{name: "field's key", args: []string{"ls", "127.0.0.1:1/me"}, file: "{url: '127.0.0.1:1', certFile: c, keyFile: " + canaryWord + "}"},
	} {
		d := newMisplaced(t)
		maps.Copy(d.env, place.env)
		if place.file != "" {
			content := "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: " + place.file + "\n"
			if err := os.WriteFile(filepath.Join(d.env["DOCKER_CONFIG"], "gitea.yaml"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d.run(t.Context(), place.args...)
		d.mustNotShow(t, append(place.args, place.name))
	}
}

func newMisplaced(t *testing.T) *desk {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	return &desk{stdin: strings.NewReader(""), env: map[string]string{"DOCKER_CONFIG": home, "DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_GITEA_RETRIES": "0"}}
}

func (d *desk) mustNotShow(t *testing.T, args []string) {
	t.Helper()
	if out := d.stdout.String() + d.stderr.String(); showsCanary(out) {
		encoded, _ := json.Marshal(args)
		t.Errorf("%s shows a secret: %s", encoded, out)
	}
}
