package plugin

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

const configHeader = "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n"

func TestReadConfigFile(t *testing.T) {
	dir := t.TempDir()
	if file, err := new(app).readConfigFile("", dir); file != nil || err != nil {
		t.Errorf("got %v, %v; a file that nobody named may be absent", file, err)
	}
	if _, err := new(app).readConfigFile(filepath.Join(dir, "absent.yaml"), dir); fault.ExitCode(t.Context(), err) != fault.ExitUsage {
		t.Errorf("got %v, want a mistake in usage", err)
	}
	if err := os.WriteFile(filepath.Join(dir, options.FileName), []byte(configHeader+"- spec: {jobs: 0}\n- spec: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := new(app).readConfigFile("", dir); err == nil || !strings.Contains(fault.Diagnose(err).Hint, "docs/configuration.md") {
		t.Errorf("got %v, want the document", err)
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
	if err := os.WriteFile(filepath.Join(dir, options.FileName), []byte(content), 0o600); err != nil {
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
		options.FileName + ":6",
		"DOCKER_GITEA_RETRIES",
		"variable MY_TOKEN",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
	run("config", "--format", "json", "git.example.com")
	var all []options.Setting
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
		got, err := a.credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, options.Connection{Username: test.user, CredentialSource: &test.source}, config)
		if err != nil || got.Token+got.Password != test.want || got.Username != test.user {
			t.Errorf("%+v: got %+v, %v", test.source, got, err)
		}
	}
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{secret, filepath.Join(dir, "absent")} {
		if _, err := a.credential(t.Context(), dockerconfig.Place{Host: "git.example.com"}, options.Connection{CredentialSource: &v1alpha1.CredentialSource{File: path}}, config); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
}
