package test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/credhelper"
	"github.com/docker-gitea/docker-gitea/plugin"
)

// misplacedSecrets are secrets in their shapes. All hold a word that is found in
// whatever shows them.
var misplacedSecrets = map[string]string{
	"access token": strings.Repeat(misplacedWord, 5),
	"web token":    "eyJhbGciOiJSUzI1NiJ9.eyJ" + misplacedWord + "." + misplacedWord,
	"key":          "-----BEGIN PRIVATE KEY-----\nMIG" + strings.Repeat(misplacedWord, 7) + "\n-----END PRIVATE KEY-----\n",
	"password":     "https://me:" + misplacedWord + "@127.0.0.1:1/me/app",
	"bare":         "me:" + misplacedWord + "@127.0.0.1:1/me/app",
}

const misplacedWord = "c4a7cafe"

// misplacedPlace is one place where a program takes a value.
type misplacedPlace struct {
	program string
	// args and variables have SECRET for the secret, and HOST for a registry.
	args     []string
	variable string
}

// TestMisplacedSecretsAreNotShown gives the real programs a secret in each place
// where they take a value: arguments and options are those of their command
// trees, variables those that the options have and the others that are read. It
// is in no output, and in no file that they write.
//
// Each place gets two of the shapes, in turn, so that each shape is in many places
// of each kind; every shape in every place is tried within the processes, by the
// tests of plugin and credhelper.
func TestMisplacedSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler()) // fails at once
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	programs := map[string]string{"docker-gitea": pluginDir(t), "docker-credential-gitea": credhelperDir(t)}
	places := slices.Concat(placesOf("docker-gitea", plugin.Command()), placesOf("docker-credential-gitea", credhelper.Command()))
	if len(places) < 400 {
		t.Fatalf("there are only %d places: is the command tree read?", len(places))
	}
	shapes := make([]string, 0, len(misplacedSecrets))
	for shape := range misplacedSecrets {
		shapes = append(shapes, shape)
	}
	slices.Sort(shapes)
	work := make(chan func())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for do := range work {
				do()
			}
		})
	}
	for i, place := range places {
		for shift := range 2 {
			shape := shapes[(i+shift*2)%len(shapes)]
			work <- func() { place.try(t, filepath.Join(programs[place.program], place.program), host, shape) }
		}
	}
	close(work)
	workers.Wait()
}

// placesOf are all places in which the commands of a program take a value.
func placesOf(program string, root *cobra.Command) []misplacedPlace {
	places := []misplacedPlace{{program: program, args: []string{"SECRET"}}, {program: program, args: []string{"--SECRET"}}}
	var variables []string
	for _, command := range root.Commands() {
		name := command.Name()
		if name == "docker-cli-plugin-hooks" { // docker alone calls it
			continue
		}
		arguments := []string{"app", "HOST/me/app"}
		debug := "-D"
		if program != "docker-gitea" {
			arguments, debug = []string{"HOST"}, "--debug"
		}
		for _, args := range [][]string{{"SECRET"}, {"HOST/me/app", "SECRET"}, {"SECRET", "HOST/me/app"}, {debug, "SECRET"}, {"-pSECRET"}, {"--password", "SECRET"}, {"--token=SECRET"}} {
			places = append(places, misplacedPlace{program: program, args: append([]string{name}, args...)})
		}
		add := func(f *pflag.Flag) {
			variables = append(variables, "DOCKER_GITEA_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")))
			if f.Name == "tag" { // which may be the hash of a commit
				return
			}
			places = append(places,
				misplacedPlace{program: program, args: append([]string{name, "--" + f.Name + "=SECRET"}, arguments...)},
				misplacedPlace{program: program, args: append([]string{name, debug, "--" + f.Name, "SECRET"}, arguments...)})
		}
		command.Flags().VisitAll(add)
		command.InheritedFlags().VisitAll(add)
	}
	calls := [][]string{{"ls", "HOST/me"}, {"push", "app", "HOST/me/app"}}
	if program != "docker-gitea" {
		calls = [][]string{{"status"}, {"doctor", "HOST"}}
		variables = []string{"DOCKER_CREDENTIAL_GITEA_STORAGE", "DOCKER_CREDENTIAL_GITEA_DIR", "DOCKER_CREDENTIAL_GITEA_LOG", "XDG_RUNTIME_DIR"}
	}
	variables = append(variables, "DOCKER_GITEA_TOKEN", "GITEA_TOKEN", "DOCKER_GITEA_HOST", "GITEA_SERVER_URL", "GITHUB_SERVER_URL",
		"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_AUTH_CONFIG", "DOCKER_API_VERSION", "REGISTRY_AUTH_FILE", "DOCKER_GITEA_CONFIG_FILE")
	slices.Sort(variables)
	for _, variable := range slices.Compact(variables) {
		for _, args := range calls {
			places = append(places, misplacedPlace{program: program, args: args, variable: variable})
		}
	}
	return places
}

// try runs the program in a directory and with a HOME of its own.
func (p misplacedPlace) try(t *testing.T, program, host, shape string) {
	t.Helper()
	home := t.TempDir()
	replace := strings.NewReplacer("SECRET", misplacedSecrets[shape], "HOST", host)
	args := make([]string, len(p.args))
	for i, arg := range p.args {
		args[i] = replace.Replace(arg)
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir = home
	c.Env = []string{"HOME=" + home, "DOCKER_CONFIG=" + home, "PATH=/bin:/usr/bin", "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_GITEA_RETRIES=0", "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
	if p.variable != "" {
		c.Env = append(c.Env, p.variable+"="+misplacedSecrets[shape]) // the last one counts
	} else if strings.HasPrefix(filepath.Base(program), "docker-credential") {
		c.Env = append(c.Env, "DOCKER_CREDENTIAL_GITEA_LOG="+filepath.Join(home, "log"))
	}
	out, err := c.CombinedOutput()
	what := strings.Join(p.args, " ") + " " + p.variable + " with " + shape
	if strings.Contains(string(out), misplacedWord) {
		t.Errorf("%s: %v: shows it: %s", what, err, out)
	}
	if strings.Contains(string(out), "panic:") {
		t.Errorf("%s: %v: %s", what, err, out)
	}
	err = filepath.WalkDir(home, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), misplacedWord) {
			t.Errorf("%s: it is in %s: %s", what, path, content)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
