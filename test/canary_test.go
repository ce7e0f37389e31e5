package test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// TestSecretsAreNotShown sends secrets through every command that has to do
// with a registry, by every way in which they are given, succeeding and
// failing, at every level of logging. They are in no output, not in the cache,
// and not on the command line of a credential helper.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(pluginDir(t), "docker-gitea")
	images := t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(images, "archive.tar")
	key := filepath.Join(images, "client.key")
	if err := os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\n"+canary+"\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	faults := map[string]registrytest.Action{
		"none":         nil,
		"refused":      registrytest.EmptyError(http.StatusUnauthorized),
		"server error": registrytest.ProxyError(http.StatusBadGateway, "nginx"),
		// A server that sends back what it was sent, once that is worth it.
		"echo": registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			sent := req.Header.Get("Authorization")
			if sent == "" {
				next.ServeHTTP(w, req)
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			_, password, _ := req.BasicAuth()
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": "DENIED", "message": "you sent " + sent + " of " + password}}})
		}),
		"garbage": registrytest.Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: "\x00\x1b[2J"},
		"cut":     registrytest.Cut{},
	}
	for fault, action := range faults {
		for _, g := range givenSecrets(key) {
			if fault != "none" && fault != "echo" && g.name != "password" {
				continue // the ways to a credential are the same as there
			}
			t.Run(fault+" "+g.name, func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Users: []registrytest.User{{
					Name: "alice", Password: canary, Tokens: []registrytest.AccessToken{{Value: canary, Scope: "write:package"}},
				}}})
				if action != nil {
					srv.Registry.Fault(registrytest.Rule{Action: action})
				}
				home := t.TempDir()
				bin := filepath.Join(home, "bin")
				helper := "#!/bin/sh\necho \"$@\" >>" + home + "/argv\ncat >/dev/null\n"
				for name, content := range map[string]string{
					"docker-credential-canary": helper + `echo '{"Username":"alice","Secret":"` + canary + `"}'` + "\n",
					"docker-credential-broken": helper + `echo '{"Username":"alice","Secret":"` + canary + `"}'` + "\nexit 1\n",
				} {
					programs.Write(t, filepath.Join(bin, name), content)
				}
				replace := strings.NewReplacer("HOST", srv.Host)
				env := []string{"HOME=" + home, "PATH=" + bin + ":/bin:/usr/bin", "DOCKER_CONFIG=" + home, "DOCKER_GITEA_HOST=" + srv.Host, "DOCKER_GITEA_CA_FILE=" + srv.CAFile}
				for _, variable := range g.env {
					env = append(env, replaceHost(variable, replace))
				}
				holders := []string{"docker-credential-canary", "docker-credential-broken"}
				for name, content := range g.files {
					if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700), os.WriteFile(filepath.Join(home, name), []byte(replace.Replace(content)), 0o600)); err != nil {
						t.Fatal(err)
					}
					holders = append(holders, filepath.Base(name))
				}
				levels := [][]string{{"-D"}}
				if fault == "echo" && g.name == "token" {
					levels = append(levels, nil, []string{"-l", "debug"})
				}
				for _, level := range levels {
					commands, others := canaryCommands(archive, srv.Host, home)
					again := fault == "cut" || fault == "server error" // which is waited for
					if g.name == "password" && !again {                // the way to a credential is the same for all commands
						commands = append(commands, others...)
					}
					for _, command := range commands {
						offline := command[0] == "config" || command[0] == "trust" || command[0] == "setup"
						if fault != "none" && offline {
							continue // they tell the server nothing
						}
						args := append(append([]string{}, level...), command[0])
						if !offline {
							args = append(args, g.args...)
						}
						c := exec.CommandContext(t.Context(), binary, append(args, command[1:]...)...)
						c.Env, c.Stdin = env, strings.NewReader(g.stdin)
						out, err := c.CombinedOutput()
						assertNoCanary(t, strings.Join(args, " "), out)
						if strings.Contains(string(out), "panic:") || strings.Contains(string(out), "goroutine ") {
							t.Errorf("%v: %v: %s", args, err, out)
						}
						if fault == "none" && command[0] == "push" && command[len(command)-1] == srv.Host+"/alice/app:1" &&
							!strings.HasPrefix(g.name, "broken") && !strings.HasPrefix(g.name, "client key") && err != nil {
							t.Errorf("%v: %v: %s", args, err, out)
						}
					}
				}
				assertNoCanaryIn(t, home, holders...)
			})
		}
	}
}

// givenSecret is one way in which a secret is given.
type givenSecret struct {
	name string
	// settings are the rows of the map of trust that it stands for.
	settings []string
	// HOST stands for the registry.
	env, args []string
	stdin     string
	// files are below HOME, which is docker's directory, too.
	files map[string]string
}

// givenSecrets are all ways; key is a file with a client's key.
func givenSecrets(key string) []givenSecret {
	const list = "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: HOST, "
	const auths = `{"auths":{"HOST":{"username":"alice","password":"` + canary + `"}}}`
	file := func(path, content string) map[string]string { return map[string]string{path: content} }
	return []givenSecret{
		{name: "token", settings: []string{"DOCKER_GITEA_TOKEN"}, env: []string{"DOCKER_GITEA_TOKEN=" + canary}},
		{name: "token of a job", settings: []string{"GITEA_TOKEN"}, env: []string{"GITEA_TOKEN=" + canary, "GITEA_SERVER_URL=https://HOST"}},
		{name: "password", settings: []string{"--password-stdin"}, args: []string{"--username", "alice", "--password-stdin"}, stdin: canary + "\n"},
		{name: "config", settings: []string{"auths in config.json"}, files: file("config.json", auths)},
		{name: "helper", settings: []string{"credHelpers in config.json"}, files: file("config.json", `{"credHelpers":{"HOST":"canary"}}`)},
		{name: "store", settings: []string{"credsStore in config.json"}, files: file("config.json", `{"credsStore":"canary"}`)},
		{name: "broken helper", files: file("config.json", `{"credHelpers":{"HOST":"broken"}}`)},
		{name: "broken config", files: file("config.json", `{"auths":{"HOST":{"auth":"`+canary+`"}}}`)},
		{name: "environment", settings: []string{"DOCKER_AUTH_CONFIG"}, env: []string{"DOCKER_AUTH_CONFIG=" + auths}},
		{name: "podman", settings: []string{"auths in auth.json"}, files: file(".config/containers/auth.json", auths)},
		{name: "podman's helper", settings: []string{"credHelpers in auth.json"}, files: file(".config/containers/auth.json", `{"credHelpers":{"HOST":"canary"}}`)},
		{name: "variable of the file", settings: []string{"spec.credential.env"}, env: []string{"MINE=" + canary}, files: file("gitea.yaml", list+"credential: {env: MINE}}\n")},
		{name: "file of the file", settings: []string{"spec.credential.file"}, files: map[string]string{"secret": canary, "gitea.yaml": list + "credential: {file: secret}}\n"}},
		{name: "helper of the file", settings: []string{"spec.credential.helper"}, files: file("gitea.yaml", list+"credential: {helper: canary}}\n")},
		{
			name: "docker configuration of the file", settings: []string{"spec.credential.dockerConfig"},
			files: map[string]string{"other/config.json": auths, "gitea.yaml": list + "credential: {dockerConfig: other}}\n"},
		},
		{
			name: "client key", settings: []string{"DOCKER_GITEA_KEY", "--key"},
			env: []string{"DOCKER_GITEA_CERT=" + key, "DOCKER_GITEA_KEY=" + key, "DOCKER_GITEA_TOKEN=" + canary},
		},
		{name: "client key of the file", settings: []string{"spec.keyFile"}, env: []string{"DOCKER_GITEA_TOKEN=" + canary}, files: file("gitea.yaml", list+"certFile: "+key+", keyFile: "+key+"}\n")},
	}
}

// withoutSecret are the settings of the map of trust that lead to no secret.
var withoutSecret = []string{
	"--insecure", "--plain-http", "--ca-file", "--cert", "--username", "http:// in an argument",
	"DOCKER_GITEA_INSECURE", "DOCKER_GITEA_PLAIN_HTTP", "DOCKER_GITEA_CA_FILE", "DOCKER_GITEA_CERT", "DOCKER_GITEA_USERNAME",
	"spec.url", "spec.insecure", "spec.certFile", "spec.credential.username", "spec.caFiles", "spec.caData", "certs.d", "docker gitea trust",
}

// canaryCommands are the commands that secrets go through: those that each way is
// tried with, and all others.
func canaryCommands(archive, host, home string) (always, others [][]string) {
	always = [][]string{
		{"push", "--retries", "-1", archive, host + "/alice/app:1"},
		{"push", "--retries", "-1", "--progress", "plain", "--dry-run", archive, host + "/alice/app:1"},
		{"push", "--quiet", "--retries", "-1", archive, host + "/nobody/app:1"},
		{"check", host + "/alice/app"},
		{"check", "--json", host + "/alice"},
		{"config", host},
		{"trust", "--list"},
		{"trust", host, "--fingerprint", strings.Repeat("0", 64)},
	}
	others = [][]string{
		{"push", "--retries", "-1", "--format", "json", "--metadata-file", filepath.Join(home, "metadata.json"), archive, host + "/alice/app:2"},
		{"push", "--retries", "-1", "--format", "yaml", "--progress", "json", "--link", "app", archive, host + "/alice/app:3"},
		{"ls", host + "/alice"},
		{"ls", "--json", host + "/alice/app"},
		{"copy", "--retries", "-1", host + "/alice/app:2", host + "/alice/copied:1"},
		{"tag", host + "/alice/app:2", "4"},
		{"join", host + "/alice/joined:1", host + "/alice/app:2"},
		{"open", "--print", host + "/alice/app"},
		{"link", host + "/alice/app", "app"},
		{"unlink", host + "/alice/app"},
		{"rm", "--force", host + "/alice/app:3"},
		{"check", "--format", "{{.}}", host + "/alice/app"},
		{"config", "--json", host},
		{"setup", "--dry-run"},
		{"trust", "--list", "--json"},
	}
	return always, others
}

// Each command that takes a credential and each setting that leads to a secret has
// a canary.
func TestEverySecretHasACanary(t *testing.T) {
	always, others := canaryCommands("", "", "")
	for _, command := range plugin.Command().Commands() {
		tried := slices.ContainsFunc(slices.Concat(always, others), func(args []string) bool { return args[0] == command.Name() })
		if command.Flags().Lookup("password-stdin") != nil && !tried {
			t.Errorf("docker gitea %s takes a credential: no secret goes through it", command.Name())
		}
	}
	for _, row := range options.TrustMap {
		given := slices.ContainsFunc(givenSecrets(""), func(g givenSecret) bool { return slices.Contains(g.settings, row.Setting) })
		if given == slices.Contains(withoutSecret, row.Setting) {
			t.Errorf("%s is to have a way to give a secret, or to be among those that lead to none", row.Setting)
		}
	}
}

// replaceHost replaces in the value of a variable alone.
func replaceHost(variable string, host *strings.Replacer) string {
	name, value, _ := strings.Cut(variable, "=")
	return name + "=" + host.Replace(value)
}
