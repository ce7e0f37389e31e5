package options

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// parsed is a configuration file in /etc with these items.
func parsed(t *testing.T, items string) *File {
	t.Helper()
	file, err := ParseFile("/etc/gitea.yaml", []byte(testHeader+items))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Each layer hides those below it, option by option.
func TestLayers(t *testing.T) {
	file := parsed(t, `
- spec:
    jobs: 2
    retries: 3
    chunkSize: 90MB
    caFiles: [ca.pem, /abs.pem]
    compression: {algorithm: zstd, level: 7}
- spec:
    url: http://git.example.com:3000
    jobs: 6
    insecure: false
    compression: {algorithm: gzip}
    timeout: 5m
`)
	env := map[string]string{"DOCKER_GITEA_JOBS": "8", "DOCKER_GITEA_RETRIES": "9", "DOCKER_GITEA_TAG": "never", "DOCKER_GITEA_DRY_RUN": "true"}
	getenv := func(key string) string { return env[key] }
	flags := flagsOf(t, "--retries", "1", "-t", "a", "-t", "b")

	s := resolvedFor(t, Layers{Flags: flags, Getenv: getenv, File: file}, "git.example.com:3000")
	if s.Retries != 1 || s.Jobs != 8 || s.ChunkSize != 90e6 || s.Timeout.String() != "5m0s" || !s.PlainHTTP || s.DryRun {
		t.Errorf("got %+v", s)
	}
	if s.Compression != "gzip" || s.Level != 0 {
		t.Errorf("got %s at level %d; a level belongs to its algorithm", s.Compression, s.Level)
	}
	if want := []string{"a", "b"}; !reflect.DeepEqual(s.Tags, want) {
		t.Errorf("got the tags %v, want %v", s.Tags, want)
	}
	if want := []string{"/etc/ca.pem", "/abs.pem"}; !reflect.DeepEqual(s.CAFiles, want) {
		t.Errorf("got the authorities %v, want %v", s.CAFiles, want)
	}

	delete(env, "DOCKER_GITEA_JOBS")
	if s := resolvedFor(t, Layers{Flags: flags, Getenv: getenv, File: file}, "git.example.com:3000"); s.Jobs != 6 {
		t.Errorf("got %d jobs, want those of the registry", s.Jobs)
	}
	if s := resolvedFor(t, Layers{Flags: flags, Getenv: getenv, File: file}, "other.example.com"); s.Jobs != 2 || s.Compression != "zstd" || s.Level != 7 || s.PlainHTTP {
		t.Errorf("got %d jobs, %s at level %d, want what is said of all", s.Jobs, s.Compression, s.Level)
	}
	env["DOCKER_GITEA_TIMEOUT"] = "soon"
	if _, err := (Layers{Flags: flags, Getenv: getenv, File: file}).Resolve(new(Settings), ""); err == nil || !strings.Contains(err.Error(), `DOCKER_GITEA_TIMEOUT: "soon"`) {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}

// A mistake is named with its line.
func TestConfigFileRefuses(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"no YAML", "\t", "/etc/gitea.yaml: "},
		{"another kind", "apiVersion: v1\nkind: Secret\n", "/etc/gitea.yaml:1: the file begins with apiVersion: docker-gitea.github.io/v1alpha1 and kind: RegistryList"},
		{"unknown field", testHeader + "- spec:\n    job: 2\n", `/etc/gitea.yaml:5: unknown field "items[0].spec.job"`},
		{"repeated field", testHeader + "- spec:\n    jobs: 2\n    jobs: 3\n", `"jobs"`},
		{"wrong type", testHeader + "- spec:\n    insecure: false\n    jobs: many\n", "/etc/gitea.yaml:6: items[0].spec.jobs: "},
		{"value out of range", testHeader + "- spec:\n    chunkSize: much\n", `/etc/gitea.yaml:5: "much": `},
		{"bad url", testHeader + "- spec:\n    url: ftp://x\n", "/etc/gitea.yaml:5: items[0].spec.url: "},
		{"two for one registry", testHeader + "- spec: {url: a.example}\n- spec: {url: 'https://A.example:443'}\n", `/etc/gitea.yaml:5: items[1].spec: the registry "a.example" has an entry already`},
		{"two sources", testHeader + "- spec:\n    url: a.example\n    credential: {env: A, file: b}\n", "items[0].spec.credential: one of helper"},
		{"secret for all", testHeader + "- spec:\n    credential: {env: A}\n", "the entry needs a url"},
		{"user name of a helper", testHeader + "- spec:\n    credential: {helper: pass, username: me}\n", "username goes with env or file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseFile("/etc/gitea.yaml", []byte(test.content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// Every option has a field or is of one call, and every field has an option.
func TestFields(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Settings).Register(flags)
	for option, path := range Fields {
		if flags.Lookup(option) == nil {
			t.Errorf("no option --%s for the field %s", option, path)
		}
	}
	spec := reflect.TypeFor[v1alpha1.RegistrySpec]()
	named := map[string]bool{"url": true, "caData": true, "credential": true}
	for _, path := range Fields {
		top, _, _ := strings.Cut(path, ".")
		named[top] = true
	}
	for field := range spec.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !named[name] {
			t.Errorf("the field %s has no effect", name)
		}
	}
}

func FuzzParseConfigFile(f *testing.F) {
	f.Add([]byte(testHeader + "- spec: {url: a.example, jobs: 2, compression: {algorithm: zstd}}\n"))
	f.Add([]byte(testHeader + "- spec:\n    insecure: maybe\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := ParseFile("gitea.yaml", content)
		if err != nil {
			return
		}
		if _, err := (Layers{Flags: pflag.NewFlagSet("", pflag.ContinueOnError), Getenv: emptyEnvironment, File: file}).Resolve(new(Settings), "a.example"); err != nil {
			t.Errorf("a file that was accepted does not apply: %v", err)
		}
	})
}

const testHeader = "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n"

// flagsOf are the options of a push, with some given.
func flagsOf(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Settings).Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func emptyEnvironment(string) string { return "" }

func resolvedFor(t *testing.T, l Layers, host string) Settings {
	t.Helper()
	var s Settings
	if _, err := l.Resolve(&s, host); err != nil {
		t.Fatal(err)
	}
	return s
}
