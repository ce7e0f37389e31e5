package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

const configHeader = "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n"

// parsed is a configuration file in /etc with these items.
func parsed(t *testing.T, items string) *configFile {
	t.Helper()
	file, err := parseConfigFile("/etc/gitea.yaml", []byte(configHeader+items))
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
	flags := pushFlags(t, "--retries", "1", "-t", "a", "-t", "b")

	s := resolved(t, layers{flags: flags, getenv: getenv, file: file}, "git.example.com:3000")
	if s.retries != 1 || s.jobs != 8 || s.chunkSize != 90e6 || s.timeout.String() != "5m0s" || !s.plainHTTP || s.dryRun {
		t.Errorf("got %+v", s)
	}
	if s.compression != "gzip" || s.level != 0 {
		t.Errorf("got %s at level %d; a level belongs to its algorithm", s.compression, s.level)
	}
	if want := []string{"a", "b"}; !reflect.DeepEqual(s.tags, want) {
		t.Errorf("got the tags %v, want %v", s.tags, want)
	}
	if want := []string{"/etc/ca.pem", "/abs.pem"}; !reflect.DeepEqual(s.caFiles, want) {
		t.Errorf("got the authorities %v, want %v", s.caFiles, want)
	}

	delete(env, "DOCKER_GITEA_JOBS")
	if s := resolved(t, layers{flags: flags, getenv: getenv, file: file}, "git.example.com:3000"); s.jobs != 6 {
		t.Errorf("got %d jobs, want those of the registry", s.jobs)
	}
	if s := resolved(t, layers{flags: flags, getenv: getenv, file: file}, "other.example.com"); s.jobs != 2 || s.compression != "zstd" || s.level != 7 || s.plainHTTP {
		t.Errorf("got %d jobs, %s at level %d, want what is said of all", s.jobs, s.compression, s.level)
	}
	env["DOCKER_GITEA_TIMEOUT"] = "soon"
	if _, err := (layers{flags: flags, getenv: getenv, file: file}).resolve(new(settings), ""); err == nil || !strings.Contains(err.Error(), `DOCKER_GITEA_TIMEOUT: "soon"`) {
		t.Errorf("got %v, want an error that names the variable", err)
	}
}

// A mistake is named with its line.
func TestConfigFileRefuses(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"no YAML", "\t", "/etc/gitea.yaml: "},
		{"another kind", "apiVersion: v1\nkind: Secret\n", "/etc/gitea.yaml:1: the file begins with apiVersion: docker-gitea.github.io/v1alpha1 and kind: RegistryList"},
		{"unknown field", configHeader + "- spec:\n    job: 2\n", `/etc/gitea.yaml:5: unknown field "items[0].spec.job"`},
		{"repeated field", configHeader + "- spec:\n    jobs: 2\n    jobs: 3\n", `"jobs"`},
		{"wrong type", configHeader + "- spec:\n    insecure: false\n    jobs: many\n", "/etc/gitea.yaml:6: items[0].spec.jobs: "},
		{"value out of range", configHeader + "- spec:\n    chunkSize: much\n", `/etc/gitea.yaml:5: "much": `},
		{"bad url", configHeader + "- spec:\n    url: ftp://x\n", "/etc/gitea.yaml:5: items[0].spec.url: "},
		{"two for one registry", configHeader + "- spec: {url: a.example}\n- spec: {url: 'https://A.example:443'}\n", `/etc/gitea.yaml:5: items[1].spec: the registry "a.example" has an entry already`},
		{"two sources", configHeader + "- spec:\n    url: a.example\n    credential: {env: A, file: b}\n", "items[0].spec.credential: one of helper"},
		{"secret for all", configHeader + "- spec:\n    credential: {env: A}\n", "the entry needs a url"},
		{"user name of a helper", configHeader + "- spec:\n    credential: {helper: pass, username: me}\n", "username goes with env or file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseConfigFile("/etc/gitea.yaml", []byte(test.content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestReadConfigFile(t *testing.T) {
	dir := t.TempDir()
	if file, err := new(app).readConfigFile("", dir); file != nil || err != nil {
		t.Errorf("got %v, %v; a file that nobody named may be absent", file, err)
	}
	if _, err := new(app).readConfigFile(filepath.Join(dir, "absent.yaml"), dir); fault.ExitCode(t.Context(), err) != fault.ExitUsage {
		t.Errorf("got %v, want a mistake in usage", err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFileName), []byte(configHeader+"- spec: {jobs: 0}\n- spec: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := new(app).readConfigFile("", dir); err == nil || !strings.Contains(fault.Diagnose(err).Hint, "docs/configuration.md") {
		t.Errorf("got %v, want the document", err)
	}
}

// Every option has a field or is of one call, and every field has an option.
func TestFields(t *testing.T) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(settings).register(flags)
	for option, path := range fields {
		if flags.Lookup(option) == nil {
			t.Errorf("no option --%s for the field %s", option, path)
		}
	}
	spec := reflect.TypeFor[v1alpha1.RegistrySpec]()
	named := map[string]bool{"url": true, "caData": true, "credential": true}
	for _, path := range fields {
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

// What a value is and where it is from is shown; a secret is not.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	content := configHeader + `- spec:
    url: git.example.com
    jobs: 6
    credential: {env: MY_TOKEN}
`
	if err := os.WriteFile(filepath.Join(dir, configFileName), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"DOCKER_CONFIG": dir, "DOCKER_GITEA_RETRIES": "9", "MY_TOKEN": "canary", "HOME": dir}
	var out, errOut bytes.Buffer
	run := func(args ...string) {
		t.Helper()
		out.Reset()
		code := Main(t.Context(), System{Program: "docker-gitea", Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errOut, LookupEnv: func(key string) (string, bool) { value, set := env[key]; return value, set }})
		if code != fault.ExitOK {
			t.Fatalf("exit code %d: %s", code, errOut.String())
		}
	}
	run("config", "git.example.com")
	for _, want := range []string{
		"OPTION              VALUE",
		"jobs                6",
		configFileName + ":6",
		"DOCKER_GITEA_RETRIES",
		"variable MY_TOKEN",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	run("config", "--format", "json", "git.example.com")
	var all []setting
	if err := json.Unmarshal(out.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	run("config", "--format", `{{range .}}{{if eq .Option "jobs"}}{{.Value}}{{end}}{{end}}`, "git.example.com")
	if got := strings.TrimSpace(out.String()); got != "6" {
		t.Errorf("got %q", got)
	}
	run("config", "--format", "yaml")
	if !strings.Contains(out.String(), "option: host") || strings.Contains(out.String()+errOut.String(), "canary") {
		t.Errorf("got %s", out.String())
	}
}

// A source of the file is asked after the environment and before docker.
func TestSourcedCredential(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "token")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"MY_TOKEN": "t0ken"}
	a := &app{System: System{LookupEnv: func(key string) (string, bool) { value, set := env[key]; return value, set }, Stderr: &bytes.Buffer{}}}
	config, err := a.dockerConfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		source v1alpha1.CredentialSource
		user   string
		want   string
	}{
		{v1alpha1.CredentialSource{Env: "MY_TOKEN"}, "", "t0ken"},
		{v1alpha1.CredentialSource{File: secret}, "", "s3cret"},
		{v1alpha1.CredentialSource{File: secret}, "me", "s3cret"},
		{v1alpha1.CredentialSource{Env: "ABSENT"}, "", ""},
		{v1alpha1.CredentialSource{DockerConfig: dir}, "", ""},
	} {
		got, err := a.credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, connection{username: test.user, credentialSource: &test.source}, config)
		if err != nil || got.Token+got.Password != test.want || got.Username != test.user {
			t.Errorf("%+v: got %+v, %v", test.source, got, err)
		}
	}
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, filepath.Join(dir, "absent")} {
		if _, err := a.credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, connection{credentialSource: &v1alpha1.CredentialSource{File: path}}, config); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}

func FuzzParseConfigFile(f *testing.F) {
	f.Add([]byte(configHeader + "- spec: {url: a.example, jobs: 2, compression: {algorithm: zstd}}\n"))
	f.Add([]byte(configHeader + "- spec:\n    insecure: maybe\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := parseConfigFile("gitea.yaml", content)
		if err != nil {
			return
		}
		if _, err := (layers{flags: pflag.NewFlagSet("", pflag.ContinueOnError), getenv: noEnvironment, file: file}).resolve(new(settings), "a.example"); err != nil {
			t.Errorf("a file that was accepted does not apply: %v", err)
		}
	})
}
