package plugin

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
)

// What a name means under a registry that the environment names.
func TestNaming(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, arg, repository, want, notice string
	}{
		{name: "owner", arg: "me/app:1", want: "git.example.com/me/app:1"},
		{name: "owner with a dot", arg: "first.last/app:1", want: "git.example.com/first.last/app:1", notice: "for a registry called first.last, write first.last:443/app:1"},
		{name: "owner with a dot, and a branch", arg: "first.last/app:feature/x", want: "git.example.com/first.last/app:feature/x", notice: "first.last:443"},
		{name: "a registry with a port", arg: "first.last:443/app", want: "first.last:443/app"},
		{name: "a registry that is known", arg: "known.example/app", want: "known.example/app"},
		{name: "the registry itself", arg: "git.example.com/app", want: "git.example.com/app"},
		{name: "three parts", arg: "ghcr.io/me/app", want: "ghcr.io/me/app"},
		{name: "this machine", arg: "localhost/app", want: "localhost/app"},
		{name: "an address", arg: "https://first.last/app", want: "https://first.last/app"},
		{name: "capitals", arg: "Me/App:V1", want: "git.example.com/me/app:V1", notice: "Me/App is pushed as me/app"},
		{name: "capitals of an owner with a dot", arg: "First.Last/App", want: "git.example.com/first.last/app", notice: "First.Last/App is pushed as first.last/app"},
		{name: "capitals on the registry itself", arg: "git.example.com/Me/App", want: "git.example.com/me/app", notice: "Me/App is pushed as me/app"},
		{name: "capitals elsewhere", arg: "known.example/Me/App", want: "known.example/Me/App"},
		{name: "a job's repository", arg: "Me/_My--App.", repository: "Me/_My--App.", want: "git.example.com/me/my-app", notice: "Me/_My--App. is pushed as me/my-app"},
		{name: "no job's repository", arg: "me/_my--app.", want: "git.example.com/me/_my--app."},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := naming{
				host: "git.example.com", repository: test.repository,
				isRegistry: func(host string) bool { return host == "known.example" || host == "git.example.com" },
			}
			got, notices := n.whole(test.arg)
			told := strings.Join(notices, "; ")
			if got != test.want || (test.notice == "") != (told == "") || !strings.Contains(told, test.notice) {
				t.Errorf("got %q, %q; want %q, %q", got, told, test.want, test.notice)
			}
			r, err := parseRemote(test.arg, n)
			if want, wantErr := registry.ParseReference(test.want); err == nil && wantErr == nil && r.name != "" && r.familiar() != want.Familiar() {
				t.Errorf("ls and the like take it for %s, push for %s", r.familiar(), want.Familiar())
			}
			if hint := test.notice != "" && strings.Contains(test.notice, ":443"); err == nil && hint != (r.misread != "") {
				t.Errorf("ls and the like say %q", r.misread)
			}
			if bare, _ := (naming{}).whole(test.arg); bare != test.arg {
				t.Errorf("without a registry: got %q", bare)
			}
		})
	}
}

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
			put(t, "#!/bin/sh\nread host; [ \"$host\" = "+host+" ] || { echo credentials not found in native keychain; exit 1; }\necho '{\"Username\":\"me\",\"Secret\":\"token\"}'\n", bin, "docker-credential-gitea")
			if err := os.Chmod(filepath.Join(bin, "docker-credential-gitea"), 0o700); err != nil {
				t.Fatal(err)
			}
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

// The line of docs/ci.md works for every repository that Gitea lets people make: its
// names have letters, digits, and - _ . in any order.
func TestEveryRepositoryIsAName(t *testing.T) {
	t.Parallel()
	const letters = "aA0-_."
	var names []string
	for n, all := 1, []string{""}; n <= 5; n++ {
		var longer []string
		for _, before := range all {
			for _, letter := range letters {
				longer = append(longer, before+string(letter))
			}
		}
		names, all = append(names, longer...), longer
	}
	for _, name := range names {
		if name == "." || name == ".." || !strings.ContainsAny(name, "aA0") {
			continue // Gitea has no repository of the first two; of the others nothing is left
		}
		for _, owner := range []string{"me", "First.Last", "A-0_b"} {
			n := naming{host: "git.example.com", repository: owner + "/" + name}
			got, _ := n.whole(n.repository + ":latest")
			ref, err := registry.ParseReference(got)
			if err == nil {
				err = ref.CheckGitea(nil)
			}
			if err != nil || ref.Host != n.host || ref.Owner() != strings.ToLower(owner) {
				t.Fatalf("%s: got %s, %v", n.repository, got, err)
			}
		}
	}
}
