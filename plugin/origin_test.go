package plugin_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// place is where a credential may be. WRONG stands for what
// the registry refuses.
type place struct {
	args  []string
	stdin string
	env   map[string]string
	// docker is config.json, yaml the entry of gitea.yaml for the registry, and
	// files are others beside them.
	docker, yaml string
	files        map[string]string
	// from is what the failure calls the place, and renew how it is said to be
	// changed.
	from, renew string
}

const anotherToken = "a personal access token of the scope write:package"

// rightToken is what a registry is given that may be another than Gitea.
const rightToken = "the right password or token (of Gitea, " + anotherToken + ")"

var entryOf = `{"auths":{"<host>":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("alice:WRONG")) + `"}}}`

// places are all that a credential may come from: what is new, has its place
// here.
var places = map[string]place{
	"standard input": {
		args: []string{"--password-stdin"}, stdin: "WRONG\n",
		from: "--password-stdin", renew: "give " + anotherToken + " with --password-stdin",
	},
	"DOCKER_GITEA_TOKEN": {
		env:  map[string]string{"DOCKER_GITEA_TOKEN": "WRONG", "DOCKER_GITEA_HOST": "<host>"},
		from: "DOCKER_GITEA_TOKEN", renew: "set DOCKER_GITEA_TOKEN to " + anotherToken,
	},
	"GITEA_TOKEN": {
		env:  map[string]string{"GITEA_TOKEN": "WRONG", "GITEA_SERVER_URL": "https://<host>"},
		from: "GITEA_TOKEN", renew: "set DOCKER_GITEA_TOKEN to " + anotherToken + " and DOCKER_GITEA_HOST to <host>, which go before GITEA_TOKEN",
	},
	"DOCKER_AUTH_CONFIG": {
		env:  map[string]string{"DOCKER_AUTH_CONFIG": entryOf},
		from: "DOCKER_AUTH_CONFIG", renew: "put " + anotherToken + " into the entry of <host> in DOCKER_AUTH_CONFIG, or unset that and docker login <host>",
	},
	"docker's entry": {
		docker: entryOf,
		from:   "the entry <host> in <dir>/config.json", renew: "docker login <host> with " + anotherToken + " as the password",
	},
	"an entry for an owner": {
		docker: strings.Replace(entryOf, "<host>", "<host>/alice", 1),
		from:   "the entry <host>/alice in <dir>/config.json", renew: "put " + anotherToken + " into the entry <host>/alice in <dir>/config.json",
	},
	"docker's helper": {
		docker: `{"credHelpers":{"<host>":"fake"}}`,
		from:   "docker-credential-fake", renew: "docker login <host> with " + anotherToken + " as the password",
	},
	"our helper": {
		docker: `{"credHelpers":{"<host>":"gitea"}}`,
		from:   "docker-credential-gitea", renew: "docker-credential-gitea login --with-token <host> with " + anotherToken,
	},
	"our helper's variable": {
		docker: `{"credHelpers":{"<host>":"gitea"}}`, env: map[string]string{"DOCKER_CREDENTIAL_GITEA_TOKEN": "WRONG"},
		from: "DOCKER_CREDENTIAL_GITEA_TOKEN", renew: "set DOCKER_CREDENTIAL_GITEA_TOKEN to " + anotherToken,
	},
	"a variable of gitea.yaml": {
		yaml: "{env: MINE}", env: map[string]string{"MINE": "WRONG"},
		from: "MINE, which <dir>/gitea.yaml:5 names", renew: "set MINE to " + anotherToken,
	},
	"a file of gitea.yaml": {
		yaml: "{file: token}", files: map[string]string{"token": "WRONG\r\n"},
		from: "<dir>/token, which <dir>/gitea.yaml:5 names", renew: "write " + anotherToken + " into <dir>/token",
	},
	"a helper of gitea.yaml": {
		yaml: "{helper: fake}",
		from: "docker-credential-fake, which <dir>/gitea.yaml:5 names", renew: "have docker-credential-fake keep " + anotherToken + " for <host>",
	},
	"another config.json of gitea.yaml": {
		yaml: "{dockerConfig: other}", files: map[string]string{"other/config.json": entryOf},
		from: "the entry <host> in <dir>/other/config.json, which <dir>/gitea.yaml:5 names", renew: "docker --config <dir>/other login <host> with " + anotherToken + " as the password",
	},
}

// sit makes a machine with the credential where place says.
func (p place) sit(t *testing.T, d *desk, dir string) (fill func(string) string) {
	t.Helper()
	fill = strings.NewReplacer("<host>", d.server.Host, "<dir>", dir).Replace
	for _, variable := range []string{"DOCKER_GITEA_TOKEN", "DOCKER_GITEA_HOST"} {
		delete(d.env, variable)
	}
	for name, value := range p.env {
		d.env[name] = fill(value)
	}
	files := map[string]string{"config.json": p.docker, "bin/docker-credential-fake": helperGiving("WRONG"), "bin/docker-credential-gitea": helperGiving("WRONG")}
	maps.Copy(files, p.files)
	if p.yaml != "" {
		files["gitea.yaml"] = "apiVersion: docker-gitea.github.io/v1alpha1\nkind: RegistryList\nitems:\n- spec: {url: <host>,\n    credential: " + p.yaml + "}\n"
	}
	for name, content := range files {
		if content == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if strings.HasPrefix(name, "bin/") {
			programs.Write(t, path, fill(content))
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(fill(content)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	d.env["DOCKER_CONFIG"] = dir
	d.stdin = strings.NewReader(p.stdin)
	return fill
}

func helperGiving(secret string) string {
	return fmt.Sprintf("#!/bin/sh\nprintf '{\"Username\":\"alice\",\"Secret\":%q}'\n", secret)
}

// Wherever a credential comes from: when it is refused, the place is named, and
// what is said to change it is that place, for a push and for check.
func TestOriginIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			d, dir := newDesk(t), t.TempDir()
			fill := place.sit(t, d, dir)
			for _, command := range [][]string{{"push", "app", d.server.Host + "/alice/app"}, {"check", d.server.Host + "/alice"}} {
				d.stdin = strings.NewReader(place.stdin)
				if code := d.run(t.Context(), append(command, place.args...)...); code != fault.ExitDenied {
					t.Errorf("%s: got exit code %d", command[0], code)
				}
				out := d.stdout.String() + d.stderr.String()
				for _, want := range []string{"the credential of " + fill(place.from) + ": ", "hint: " + strings.Replace(fill(place.renew), anotherToken, rightToken, 1) + "\n"} {
					if !strings.Contains(out, want) {
						t.Errorf("%s: %q is not in\n%s", command[0], want, out)
					}
				}
			}
		})
	}
}

// A good token arrives whatever the place leaves around it; a bad one is told
// with what is odd about it.
func TestOddValues(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	for _, name := range []string{"DOCKER_GITEA_TOKEN", "GITEA_TOKEN", "a variable of gitea.yaml", "a file of gitea.yaml", "standard input"} {
		place := places[name]
		for around, remark := range map[string]string{
			"%s\n": "", "%s\r\n": "", "\ufeff%s": "", "\ufeff%s\r\n": "", "\n%s\n\n": "",
			`"%s"`: "which stands in quotes that are sent along", "'%s'\n": "which stands in quotes", " %s": "which has a space in it",
			"${%s}": "which begins with ${, as if it had not been filled in",
		} {
			t.Run(fmt.Sprintf("%s/%q", name, around), func(t *testing.T) {
				d := newDesk(t)
				place := place
				place.env, place.files = map[string]string{}, map[string]string{}
				for key, value := range places[name].env {
					place.env[key] = strings.ReplaceAll(value, "WRONG", fmt.Sprintf(around, registrytest.Token))
				}
				for key := range places[name].files {
					place.files[key] = fmt.Sprintf(around, registrytest.Token)
				}
				if place.stdin != "" {
					place.stdin = fmt.Sprintf(around, registrytest.Token)
				}
				place.sit(t, d, t.TempDir())
				code := d.run(t.Context(), append([]string{"push", "app", d.server.Host + "/alice/app"}, place.args...)...)
				if (code == fault.ExitOK) != (remark == "") || !strings.Contains(d.stderr.String(), remark) {
					t.Errorf("got exit code %d\n%s", code, &d.stderr)
				}
				if strings.Contains(d.stderr.String(), registrytest.Token) {
					t.Error("the token is shown")
				}
			})
		}
	}
}

// Where there is nothing although a credential is looked for there, the place is told
// as such where a credential is missing, and stands in nobody's way where there is one.
func TestNothingThere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helpers are shell scripts")
	}
	const inJob = "; in a job, the secret that it is set from is missing, or kept from the job"
	none := map[string]string{"bin/docker-credential-fake": "#!/bin/sh\necho credentials not found in native keychain; exit 1\n"}
	for _, test := range []struct {
		name  string
		env   map[string]string
		files map[string]string
		lacks string
	}{
		{"DOCKER_GITEA_TOKEN", map[string]string{"DOCKER_GITEA_TOKEN": "\n"}, nil, " is set, but empty"},
		{"GITEA_TOKEN", map[string]string{"GITEA_TOKEN": "\n"}, nil, " is set, but empty"},
		{"DOCKER_AUTH_CONFIG", map[string]string{"DOCKER_AUTH_CONFIG": "\n"}, nil, " is set, but empty"},
		{"a variable of gitea.yaml", map[string]string{"MINE": "\n"}, nil, ", is empty or not set"},
		{"a variable of gitea.yaml", map[string]string{"MINE": ""}, nil, ", is empty or not set"},
		{"a helper of gitea.yaml", nil, none, ", has none for <host>"},
		{"another config.json of gitea.yaml", nil, map[string]string{"other/config.json": "{}"}, ", has none for <host>"},
		{"another config.json of gitea.yaml", nil, map[string]string{"other/config.json": ""}, ", has none for <host>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, dir := newDesk(t), t.TempDir()
			place := places[test.name]
			place.env = maps.Clone(place.env)
			maps.Copy(place.env, test.env)
			if test.files != nil {
				place.files = test.files
			}
			fill := place.sit(t, d, dir)
			from, renew := strings.Replace(fill(place.from), "the entry "+d.server.Host+" in ", "", 1), fill(place.renew)
			if test.env != nil {
				renew += inJob
			}
			d.run(t.Context(), "push", "app", d.server.Host+"/alice/app")
			out := d.stderr.String()
			for _, want := range []string{"no credential was sent: " + from + fill(test.lacks) + "\n", "hint: " + renew + "\n"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			if strings.Contains(out, "(with the credential") {
				t.Errorf("there is none:\n%s", out)
			}
			good := strings.Replace(fill(entryOf), base64.StdEncoding.EncodeToString([]byte("alice:WRONG")), base64.StdEncoding.EncodeToString([]byte("alice:"+registrytest.Token)), 1)
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(good), 0o600); err != nil {
				t.Fatal(err)
			}
			if code := d.run(t.Context(), "push", "app", d.server.Host+"/alice/app"); code != fault.ExitOK {
				t.Errorf("got exit code %d\n%s", code, &d.stderr)
			}
		})
	}
}

// A source that cannot be read is told with the line that names it, and with what to
// write there.
func TestUnreadableSource(t *testing.T) {
	for yaml, want := range map[string][]string{
		"{file: nothing}":       {"gitea.yaml:5: read the credential of ", "hint: file: is the path of a file"},
		"{file: empty}":         {"gitea.yaml:5: read the credential of ", "hint: write a personal access token"},
		"{helper: absent}":      {"gitea.yaml:5: credential helper docker-credential-absent: ", "hint: docker-credential-absent is not installed"},
		"{dockerConfig: other}": {"gitea.yaml:5: read docker config: ", "hint: correct it, or give the credential in another way"},
	} {
		t.Run(yaml, func(t *testing.T) {
			d := newDesk(t)
			place{yaml: yaml, files: map[string]string{"empty": "\n", "other/config.json": "{,"}}.sit(t, d, t.TempDir())
			if code := d.run(t.Context(), "push", "app", d.server.Host+"/alice/app"); code == fault.ExitOK {
				t.Error("it goes on")
			}
			for _, text := range want {
				if !strings.Contains(d.stderr.String(), text) {
					t.Errorf("%q is not in\n%s", text, &d.stderr)
				}
			}
		})
	}
}
