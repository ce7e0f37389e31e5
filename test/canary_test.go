package test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// TestSecretsAreNotShown sends secrets through every command that has to do
// with a registry, by every way in which they are given, succeeding and
// failing, at every level of logging. They are in no output, not in the cache,
// and not on the command line of a credential helper.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
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
	given := []struct {
		name  string
		env   []string
		args  []string
		stdin string
		// config is the configuration of docker; helper its credential helper.
		config string
	}{
		{name: "token", env: []string{"DOCKER_GITEA_TOKEN=" + canary}},
		{name: "password", args: []string{"--username", "alice", "--password-stdin"}, stdin: canary + "\n"},
		{name: "config", config: `{"auths":{"HOST":{"username":"alice","password":"` + canary + `"}}}`},
		{name: "helper", config: `{"credHelpers":{"HOST":"canary"}}`},
		{name: "broken helper", config: `{"credHelpers":{"HOST":"broken"}}`},
		{name: "broken config", config: `{"auths":{"HOST":{"auth":"` + canary + `"}}}`},
		{name: "environment", env: []string{`DOCKER_AUTH_CONFIG={"auths":{"HOST":{"username":"alice","password":"` + canary + `"}}}`}},
		{name: "client key", env: []string{"DOCKER_GITEA_CERT=" + key, "DOCKER_GITEA_KEY=" + key, "DOCKER_GITEA_TOKEN=" + canary}},
	}
	for fault, action := range faults {
		for _, g := range given {
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
					if err := os.MkdirAll(bin, 0o700); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(bin, name), []byte(content), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				replace := strings.NewReplacer("HOST", srv.Host)
				env := []string{"HOME=" + home, "PATH=" + bin + ":/bin:/usr/bin", "DOCKER_CONFIG=" + home, "DOCKER_GITEA_HOST=" + srv.Host, "DOCKER_GITEA_CA_FILE=" + srv.CAFile}
				for _, variable := range g.env {
					env = append(env, replaceHost(variable, replace))
				}
				if g.config != "" {
					if err := os.WriteFile(filepath.Join(home, "config.json"), []byte(replace.Replace(g.config)), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				levels := [][]string{{"-D"}}
				if fault == "echo" && g.name == "token" {
					levels = append(levels, nil, []string{"-l", "debug"})
				}
				for _, level := range levels {
					commands := [][]string{
						{"push", "--retries", "-1", archive, srv.Host + "/alice/app:1"},
						{"push", "--retries", "-1", "--progress", "plain", "--dry-run", archive, srv.Host + "/alice/app:1"},
						{"push", "--quiet", "--retries", "-1", archive, srv.Host + "/nobody/app:1"},
						{"check", srv.Host + "/alice/app"},
						{"check", "--json", srv.Host + "/alice"},
						{"config", srv.Host},
						{"trust", "--list"},
						{"trust", srv.Host, "--fingerprint", strings.Repeat("0", 64)},
					}
					again := fault == "cut" || fault == "server error" // which is waited for
					if g.name == "password" && !again {                // the way to a credential is the same for all commands
						commands = append(commands, [][]string{
							{"push", "--retries", "-1", "--format", "json", "--metadata-file", filepath.Join(home, "metadata.json"), archive, srv.Host + "/alice/app:2"},
							{"push", "--retries", "-1", "--format", "yaml", "--progress", "json", "--link", "app", archive, srv.Host + "/alice/app:3"},
							{"ls", srv.Host + "/alice"},
							{"ls", "--json", srv.Host + "/alice/app"},
							{"link", srv.Host + "/alice/app", "app"},
							{"unlink", srv.Host + "/alice/app"},
							{"rm", "--force", srv.Host + "/alice/app:3"},
							{"check", "--format", "{{.}}", srv.Host + "/alice/app"},
							{"config", "--json", srv.Host},
							{"setup", "--dry-run"},
							{"trust", "--list", "--json"},
						}...)
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
						c := exec.CommandContext(t.Context(), plugin, append(args, command[1:]...)...)
						c.Env, c.Stdin = env, strings.NewReader(g.stdin)
						out, err := c.CombinedOutput()
						assertNoCanary(t, strings.Join(args, " "), out)
						if strings.Contains(string(out), "panic:") || strings.Contains(string(out), "goroutine ") {
							t.Errorf("%v: %v: %s", args, err, out)
						}
						if fault == "none" && command[0] == "push" && command[len(command)-1] == srv.Host+"/alice/app:1" &&
							!strings.HasPrefix(g.name, "broken") && g.name != "client key" && err != nil {
							t.Errorf("%v: %v: %s", args, err, out)
						}
					}
				}
				assertNoCanaryIn(t, home, "config.json", "docker-credential-canary", "docker-credential-broken")
			})
		}
	}
}

// replaceHost replaces in the value of a variable alone.
func replaceHost(variable string, host *strings.Replacer) string {
	name, value, _ := strings.Cut(variable, "=")
	return name + "=" + host.Replace(value)
}
