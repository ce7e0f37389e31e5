package plugin

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// A registry is known by each thing that is kept for it, and not without.
func TestIsRegistry(t *testing.T) {
	const host = "git.example"
	entry := `{"auths":{"` + host + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("me:token")) + `"}}}`
	for name, set := range map[string]func(t *testing.T, dir string, env map[string]string){
		"docker login": func(t *testing.T, dir string, _ map[string]string) { t.Helper(); put(t, entry, dir, "config.json") },
		"a helper": func(t *testing.T, dir string, _ map[string]string) {
			t.Helper()
			put(t, `{"credHelpers":{"`+host+`":"gitea"}}`, dir, "config.json")
		},
		"what a helper left": func(t *testing.T, dir string, _ map[string]string) {
			t.Helper()
			put(t, `{"auths":{"`+host+`":{}}}`, dir, "config.json")
		},
		"podman login": func(t *testing.T, dir string, env map[string]string) {
			t.Helper()
			put(t, entry, dir, "auth.json")
			env["REGISTRY_AUTH_FILE"] = filepath.Join(dir, "auth.json")
		},
		"gitea.yaml": func(t *testing.T, dir string, _ map[string]string) {
			t.Helper()
			put(t, configHeader+"- spec: {url: "+host+"}\n", dir, "gitea.yaml")
		},
		"certs.d": func(t *testing.T, dir string, _ map[string]string) {
			t.Helper()
			put(t, "", dir, "certs.d", host, "ca.crt")
		},
		"a job's own server": func(_ *testing.T, _ string, env map[string]string) { env["GITHUB_SERVER_URL"] = "https://" + host },
		"DOCKER_GITEA_HOST":  func(_ *testing.T, _ string, env map[string]string) { env["DOCKER_GITEA_HOST"] = host },
		"DOCKER_AUTH_CONFIG": func(_ *testing.T, _ string, env map[string]string) { env["DOCKER_AUTH_CONFIG"] = entry },
		"docker gitea trust": func(t *testing.T, _ string, _ map[string]string) { t.Helper(); pin(t, host) },
		"a helper for all hosts": func(t *testing.T, dir string, _ map[string]string) {
			t.Helper()
			put(t, `{"credsStore":"gitea"}`, dir, "config.json")
		},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			bin := filepath.Join(home, "bin")
			programs.Write(t, filepath.Join(bin, "docker-credential-gitea"), "#!/bin/sh\nread host; [ \"$host\" = "+host+" ] || { echo credentials not found in native keychain; exit 1; }\necho '{\"Username\":\"me\",\"Secret\":\"token\"}'\n")
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			t.Setenv("HOME", home)
			t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
			env := map[string]string{"DOCKER_CONFIG": home}
			a := inEnvironment(env)
			if a.isRegistry(t.Context(), host) {
				t.Error("it is known without")
			}
			set(t, home, env)
			if !a.isRegistry(t.Context(), host) {
				t.Error("it is not known")
			}
			if a.isRegistry(t.Context(), "other.example") {
				t.Error("another is known")
			}
		})
	}
}

func pin(t *testing.T, host string) {
	t.Helper()
	certificates, err := certs.Parse([]byte(authority(t)))
	if err == nil {
		err = certs.SavePin(host, certificates)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is copied from is a registry, as in docker's own names, also where names of
// destinations begin with owners.
func TestCopiedFrom(t *testing.T) {
	n := target.Naming{Host: "git.example.com"}
	for arg, want := range map[string]string{"ghcr.io/me/": "ghcr.io/me", "me/": "git.example.com/me", "ghcr.io/me/app": "ghcr.io/me/app"} {
		r, err := parseCopied(arg, n)
		if got := strings.TrimSuffix(r.Familiar(), "/"); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", arg, got, err, want)
		}
	}
}
