package test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
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
// whatever shows them. One is longer than what a message has room for, one has
// what is quoted.
var misplacedSecrets = map[string]string{
	"access token": strings.Repeat(misplacedWord, 5),
	"web token":    "eyJhbGciOiJSUzI1NiJ9.eyJ" + strings.Repeat(misplacedWord, 60) + "." + misplacedWord,
	"key":          "-----BEGIN PRIVATE KEY-----\nMIG" + strings.Repeat(misplacedWord, 7) + "\n-----END PRIVATE KEY-----\n",
	"password":     "https://me:" + misplacedWord + "@127.0.0.1:1/me/app",
	"bare":         `me:"ü\` + misplacedWord + `"@127.0.0.1:1/me/app`,
}

const misplacedWord = "c4a7cafe"

// misplacedPlace is one place where a program takes a value.
type misplacedPlace struct {
	program string
	// args and variables have SECRET for the secret, and HOST for a registry.
	args     []string
	variable string
	// env goes after the environment that all have, and before variable.
	env []string
	// path is a file below HOME, content what is in it: JSON with SECRET.
	path, content string
}

// kind is what a place has in common with those in other commands: an option and
// its form, the number of an argument, a variable, or a field.
func (p misplacedPlace) kind() string {
	switch {
	case p.variable != "":
		return p.program + " " + p.variable
	case p.path != "":
		return p.program + p.path + p.content
	}
	return p.program + " " + strings.Join(p.args[1:], " ")
}

// TestMisplacedSecretsAreNotShown gives the real programs a secret in each place
// where they take a value, in each of its shapes: arguments and options are those
// of their command trees, variables those that the options have and the others
// that are read, fields those of the types that their files are read into. It is
// in no output, and in no file that they write.
func TestMisplacedSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler()) // fails at once
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	programs := map[string]string{"docker-gitea": pluginDir(t), "docker-credential-gitea": credhelperDir(t)}
	options := slices.Concat(placesOf("docker-gitea", plugin.Command()), placesOf("docker-credential-gitea", credhelper.Command()))
	fields := placesInFiles()
	if len(options) < 400 || len(fields) < 400 {
		t.Fatalf("there are only %d places and %d in files: are the commands and the types read?", len(options), len(fields))
	}
	shapes := slices.Sorted(maps.Keys(misplacedSecrets))
	// What is called alike is read by the same code in each command: it gets every
	// shape once, and one more in each of the other commands.
	seen := map[string]bool{}
	work := make(chan func())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for do := range work {
				do()
			}
		})
	}
	for i, place := range slices.Concat(options, fields) {
		given := shapes
		if seen[place.kind()] {
			given = shapes[i%len(shapes):][:1]
		}
		seen[place.kind()] = true
		for _, shape := range given {
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
	calls := [][]string{{"ls", "HOST/me"}, {"push", "app", "HOST/me/app"}, {"__complete", "ls", ""}}
	if program != "docker-gitea" {
		calls = [][]string{{"status"}, {"doctor", "HOST"}}
		variables = credhelper.Variables()
	} else {
		variables = append(variables, variablesRead(calls)...)
		variables = slices.DeleteFunc(variables, func(name string) bool { return name == "GOMEMLIMIT" }) // which Go itself reads, before the program
	}
	slices.Sort(variables)
	for _, variable := range slices.Compact(variables) {
		for _, args := range calls {
			places = append(places, misplacedPlace{program: program, args: args, variable: variable})
		}
	}
	return places
}

// variablesRead are those that the plugin asks for in one of the calls.
func variablesRead(calls [][]string) []string {
	var names []string
	var mu sync.Mutex // guards names
	for _, call := range calls {
		args := strings.Split(strings.ReplaceAll(strings.Join(call, "\n"), "HOST", "127.0.0.1:1"), "\n")
		plugin.Main(context.Background(), plugin.System{
			Args: args, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard, CacheDir: os.DevNull,
			LookupEnv: func(name string) (string, bool) {
				mu.Lock()
				defer mu.Unlock()
				names = append(names, name)
				switch name {
				case "DOCKER_CONFIG":
					return os.DevNull, true
				case "DOCKER_HOST":
					return "tcp://127.0.0.1:1", true
				case "DOCKER_GITEA_RETRIES":
					return "0", true
				}
				return "", false
			},
		})
	}
	return names
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
	file := filepath.Join(home, p.path)
	if p.path != "" {
		quoted, err := json.Marshal(misplacedSecrets[shape])
		if err != nil {
			t.Fatal(err)
		}
		content := strings.NewReplacer("SECRET", string(quoted[1:len(quoted)-1]), "HOST", host).Replace(p.content)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			t.Error(err)
		}
	}
	c := exec.CommandContext(t.Context(), program, args...)
	c.Dir, c.Stdin = home, strings.NewReader(host)
	c.Env = []string{"HOME=" + home, "DOCKER_CONFIG=" + home, "PATH=/bin:/usr/bin", "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_GITEA_RETRIES=0", "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
	c.Env = append(c.Env, p.env...)
	if p.variable != "" {
		c.Env = append(c.Env, p.variable+"="+misplacedSecrets[shape]) // the last one counts
	} else if strings.HasPrefix(filepath.Base(program), "docker-credential") {
		c.Env = append(c.Env, "DOCKER_CREDENTIAL_GITEA_LOG="+filepath.Join(home, "log"))
	}
	out, err := c.CombinedOutput()
	what := strings.Join(p.args, " ") + " " + p.variable + p.path + " " + p.content + " with " + shape
	if strings.Contains(string(out), misplacedWord) {
		t.Errorf("%s: %v: shows it: %s", what, err, out)
	}
	if strings.Contains(string(out), "panic:") {
		t.Errorf("%s: %v: %s", what, err, out)
	}
	err = filepath.WalkDir(home, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path == file {
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
