package dockerconfig_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

// FuzzConfig takes anything for docker's config.json and for the variable
// that stands before it. The secret of another host is never given.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"auths":{"git.example.com":`+aliceSecret+`}}`), "")
	f.Add([]byte(`{"auths":{"https://git.example.com/v1/":{"identitytoken":"tok"}},"credsStore":"fake"}`), `{"auths":{}}`)
	f.Add([]byte(`{"credHelpers":{"git.example.com":"../fake"},"currentContext":"remote"}`), "x")
	f.Add([]byte(`{"auths":{"git.example.com":{"auth":"=","username":"a","password":"b"}}}`), `{"auths":{"git.example.com":{"auth":"YQ=="}}}`)
	f.Add([]byte(`{"proxies":{"default":{}},"HttpHeaders":{"a":"b"}`), "")
	dir := f.TempDir()
	f.Setenv("PATH", dir) // with no helper on it
	f.Setenv("HOME", dir)
	f.Fuzz(func(t *testing.T, file []byte, variable string) {
		if err := os.WriteFile(filepath.Join(dir, "config.json"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		getenv := func(key string) string {
			return map[string]string{"DOCKER_AUTH_CONFIG": variable, "REGISTRY_AUTH_FILE": filepath.Join(dir, "absent")}[key]
		}
		c, err := dockerconfig.Load(dir, getenv, nil)
		if err != nil {
			return
		}
		for _, host := range []string{"git.example.com", "git.example.com:3000"} {
			got, err := c.Credential(t.Context(), dockerconfig.Place{Host: host}, io.Discard)
			if err != nil && got.Token+got.Password != "" {
				t.Errorf("%s: got a credential, and %v", host, err)
			}
			if err == nil && got.Token+got.Password != "" && !strings.Contains(string(file)+variable, "git.example.com") && !strings.Contains(string(file)+variable, `\u`) {
				t.Errorf("%s: got a credential of another host", host)
			}
			if c.Store(host) == "" {
				t.Errorf("%s: is kept nowhere", host)
			}
		}
	})
}
