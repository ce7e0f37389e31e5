package plugin

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// The registry that a setting is for, and one that is not.
const trusted, other = "a.example", "b.example"

// setTrust sets one setting, for trusted.
type setTrust struct {
	args []string
	env  map[string]string
	// spec is an entry's, docker is config.json and podman auth.json.
	spec, docker, podman string
	// prepare puts files somewhere.
	prepare func(t *testing.T, home string)
}

var trustCases = map[string]setTrust{
	"--insecure":              {args: []string{"--insecure"}},
	"--plain-http":            {args: []string{"--plain-http"}},
	"--ca-file":               {args: []string{"--ca-file", "/ca"}},
	"--cert":                  {args: []string{"--cert", "/c", "--key", "/k"}},
	"--key":                   {args: []string{"--cert", "/c", "--key", "/k"}},
	"--username":              {args: []string{"--username", "me", "--password-stdin"}},
	"--password-stdin":        {args: []string{"--password-stdin"}},
	"DOCKER_GITEA_INSECURE":   {env: map[string]string{"DOCKER_GITEA_INSECURE": "true"}},
	"DOCKER_GITEA_PLAIN_HTTP": {env: map[string]string{"DOCKER_GITEA_PLAIN_HTTP": "true"}},
	"DOCKER_GITEA_CA_FILE":    {env: map[string]string{"DOCKER_GITEA_CA_FILE": "/ca"}},
	"DOCKER_GITEA_CERT":       {env: map[string]string{"DOCKER_GITEA_CERT": "/c", "DOCKER_GITEA_KEY": "/k"}},
	"DOCKER_GITEA_KEY":        {env: map[string]string{"DOCKER_GITEA_CERT": "/c", "DOCKER_GITEA_KEY": "/k"}},
	"DOCKER_GITEA_USERNAME":   {env: map[string]string{"DOCKER_GITEA_USERNAME": "me"}},
	"DOCKER_GITEA_TOKEN":      {env: map[string]string{"DOCKER_GITEA_TOKEN": "t", "DOCKER_GITEA_HOST": trusted}},
	"GITEA_TOKEN":             {env: map[string]string{"GITEA_TOKEN": "t", "GITHUB_SERVER_URL": "https://" + trusted}},

	"spec.url":                     {spec: `{url: "http://a.example:80"}`},
	"spec.insecure":                {spec: `{url: a.example, insecure: true}`},
	"spec.certFile":                {spec: `{url: a.example, certFile: c, keyFile: k}`},
	"spec.keyFile":                 {spec: `{url: a.example, certFile: c, keyFile: k}`},
	"spec.caFiles":                 {spec: `{url: a.example, caFiles: [ca]}`},
	"spec.caData":                  {spec: `{url: a.example, caData: pem}`},
	"spec.credential.env":          {spec: `{url: a.example, credential: {env: MINE}}`, env: map[string]string{"MINE": "t"}},
	"spec.credential.username":     {spec: `{url: a.example, credential: {env: MINE, username: me}}`, env: map[string]string{"MINE": "t"}},
	"spec.credential.file":         {spec: `{url: a.example, credential: {file: token}}`, prepare: func(t *testing.T, home string) { t.Helper(); put(t, "t", home, "token") }},
	"spec.credential.helper":       {spec: `{url: a.example, credential: {helper: fake}}`},
	"spec.credential.dockerConfig": {spec: `{url: a.example, credential: {dockerConfig: other}}`, prepare: func(t *testing.T, home string) { t.Helper(); put(t, auths(), home, "other", "config.json") }},

	"DOCKER_AUTH_CONFIG":         {env: map[string]string{"DOCKER_AUTH_CONFIG": auths()}},
	"auths in config.json":       {docker: auths()},
	"credHelpers in config.json": {docker: `{"credHelpers":{"a.example":"fake"}}`},
	"credsStore in config.json":  {docker: `{"credsStore":"fake"}`},
	"auths in auth.json":         {podman: auths()},
	"credHelpers in auth.json":   {podman: `{"credHelpers":{"a.example":"fake"}}`},
	"certs.d": {prepare: func(t *testing.T, home string) {
		t.Helper()
		put(t, authority(t), home, "certs.d", trusted, "ca.crt")
	}},
	"docker gitea trust": {prepare: func(t *testing.T, _ string) {
		t.Helper()
		certificates, err := certs.Parse([]byte(authority(t)))
		if err == nil {
			err = certs.SavePin(trusted, certificates)
		}
		if err != nil {
			t.Fatal(err)
		}
	}},
}

// A setting that carries or weakens trust changes what is done with the registry
// that it is for, and nothing for the one that a layer comes from.
func TestTrustMap(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	for _, row := range options.TrustMap {
		t.Run(row.Setting, func(t *testing.T) {
			if row.Setting == "http:// in an argument" {
				r, err := target.ParseRemote("http://"+trusted+"/me/app", target.Naming{})
				if bare, bareErr := target.ParseRemote(trusted+"/me/app", target.Naming{}); err != nil || bareErr != nil || !r.PlainHTTP || bare.PlainHTTP {
					t.Errorf("got %v, %v", r, bare)
				}
				return
			}
			set, found := trustCases[row.Setting]
			if !found {
				t.Fatal("no case: say here how it is set, for one registry of two")
			}
			without := trustOf(t, setTrust{}, trusted)
			alone := trustOf(t, set, trusted)
			if alone[trusted] == without[trusted] {
				t.Errorf("it changes nothing for its registry: %s", alone[trusted])
			}
			if alone[other] != without[other] {
				t.Errorf("for another registry: got %s, want %s", alone[other], without[other])
			}
			switch row.Host {
			case options.ToVariable:
				variableIsBound(t, row.Setting, set, alone)
			case options.ToEntry:
				if row.Setting != "spec.url" && row.Setting != "spec.credential.username" {
					everywhere := strings.Replace(set.spec, "url: a.example, ", "", 1)
					if _, err := options.ParseFile("gitea.yaml", []byte(configHeader+"- spec: "+everywhere+"\n")); err == nil || !strings.Contains(err.Error(), "needs a url") {
						t.Errorf("without a url: got %v", err)
					}
				}
			case options.ToNamed, options.ToServer, options.ToHost, options.ToEntries, options.ToKey: // what is above is all
			}
		})
	}
}

// variableIsBound tries a variable with several registries.
func variableIsBound(t *testing.T, name string, set setTrust, alone map[string]string) {
	t.Helper()
	option := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "DOCKER_GITEA_"), "_", "-"))
	_, err := plannedTrust(t, set, trusted, other)
	if fault.ExitCode(t.Context(), err) != fault.ExitUsage || !strings.Contains(err.Error(), trusted+", "+other) {
		t.Errorf("two registries: got %v", err)
	} else if hint := fault.Diagnose(err).Hint; !strings.Contains(hint, "DOCKER_GITEA_HOST") || !strings.Contains(hint, "gitea.yaml") ||
		!strings.Contains(hint, option) && name != "DOCKER_GITEA_KEY" {
		t.Errorf("two registries: got the hint %q", hint)
	}
	set.env = with(set.env, "DOCKER_GITEA_HOST", trusted)
	both := trustOf(t, set, trusted, other)
	if both[trusted] != alone[trusted] || both[other] != alone[other] {
		t.Errorf("two registries, DOCKER_GITEA_HOST is the first: got %v, want %v", both, alone)
	}
	set.env = with(set.env, "DOCKER_GITEA_HOST", "c.example")
	if elsewhere, without := trustOf(t, set, trusted), trustOf(t, setTrust{}, trusted); !reflect.DeepEqual(elsewhere, without) {
		t.Errorf("DOCKER_GITEA_HOST is another: got %v, want %v", elsewhere, without)
	}
}

// trustOf is what a push to the named registries would do with trusted and with
// other, in words.
func trustOf(t *testing.T, set setTrust, named ...string) map[string]string {
	t.Helper()
	p, err := plannedTrust(t, set, named...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, host := range []string{trusted, other} {
		i, err := p.inquiry(host)
		if err != nil {
			t.Fatal(err)
		}
		c := i.Connection
		p.Stdin = strings.NewReader("given")
		credential, err := p.credential(t.Context(), dockerconfig.Place{Host: host, PlainHTTP: c.PlainHTTP}, c, p.config)
		tls, tlsErr := certs.TLSConfig(registry.RegistryConfig{URL: host, CertDirs: c.RegistryConfig(host, credential, p.config.Dir).CertDirs})
		if tlsErr != nil {
			t.Fatal(tlsErr)
		}
		found[host] = fmt.Sprintf("insecure %v, plain HTTP %v, authorities %v %q, certificate %q %q, user %q, credential %q %q %q (%v), authorities in files %v",
			c.Insecure, c.PlainHTTP, c.CAFiles, c.CAData, c.Cert, c.Key, c.Username, credential.Username, credential.Password, credential.Token, err, tls.RootCAs != nil)
	}
	return found
}

// plannedTrust is a push to the named registries on a machine with a setting.
func plannedTrust(t *testing.T, set setTrust, named ...string) (*pusher, error) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	programs.Write(t, filepath.Join(home, "docker-credential-fake"), "#!/bin/sh\nread host; test \"$host\" = a.example && echo '{\"Username\":\"me\",\"Secret\":\"s\"}' && exit\necho credentials not found in native keychain; exit 1\n")
	t.Setenv("PATH", home+":/usr/bin:/bin")
	put(t, cmp.Or(set.podman, "{}"), home, "auth.json")
	if set.docker != "" {
		put(t, set.docker, home, "config.json")
	}
	if set.spec != "" {
		put(t, configHeader+"- spec: "+set.spec+"\n", home, "gitea.yaml")
	}
	if set.prepare != nil {
		set.prepare(t, home)
	}
	env := with(set.env, "DOCKER_CONFIG", home)
	env["REGISTRY_AUTH_FILE"] = filepath.Join(home, "auth.json")
	a := &app{System: System{LookupEnv: func(name string) (string, bool) { value, set := env[name]; return value, set }, Stderr: io.Discard}}
	config, l, err := a.configured(pushFlags(t, set.args...))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"app:1"}
	for _, host := range named {
		args = append(args, host+"/me/app:1")
	}
	plan, err := planPush(l, args, target.Naming{}, func(string) bool { return false })
	return &pusher{app: a, plan: plan, config: config}, err
}

func auths() string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, trusted, base64.StdEncoding.EncodeToString([]byte("me:s")))
}

func authority(t *testing.T) string {
	t.Helper()
	made, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return string(made.PEM())
}

func with(env map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for name, value := range env {
		if _, set := all[name]; !set {
			all[name] = value
		}
	}
	return all
}

func put(t *testing.T, content string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
