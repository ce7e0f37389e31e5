package remote_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// binding says of a setting which host it is for. Its test has the registry lead
// to another host, whose settings these would be as well.
type binding struct {
	host string
	// set gives the setting to a client of own, in a way that would serve other.
	set func(t *testing.T, c *registry.RegistryConfig, o *registry.PushOptions, own, other *stranger)
	// known: the other host's certificate is accepted by settings of its own.
	known bool
}

const (
	registryHost = "the registry's host and port"
	noHost       = "" // it carries no trust
)

// bindings has every field of what a client and a push are given. What carries
// or weakens trust is bound to a host, and to no other that it leads to.
var bindings = map[string]binding{
	"RegistryConfig.URL": {host: noHost},
	"RegistryConfig.Insecure": {host: registryHost, set: func(_ *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, _, _ *stranger) {
		c.Insecure = true
	}},
	"RegistryConfig.Auth": {host: registryHost, known: true, set: func(_ *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, _, _ *stranger) {
		c.Auth = secretAuth
	}},
	"RegistryConfig.CAFiles": {host: registryHost, set: func(t *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, own, other *stranger) {
		t.Helper()
		for _, s := range []*stranger{own, other} {
			file := filepath.Join(t.TempDir(), "ca.pem")
			if err := s.authority.WriteFile(file); err != nil {
				t.Fatal(err)
			}
			c.CAFiles = append(c.CAFiles, file)
		}
	}},
	"RegistryConfig.CAData": {host: registryHost, set: func(_ *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, own, other *stranger) {
		c.CAData = string(own.authority.PEM()) + string(other.authority.PEM())
	}},
	"RegistryConfig.CertFile": {host: registryHost, known: true, set: setPair},
	"RegistryConfig.KeyFile":  {host: registryHost, known: true, set: setPair},
	"RegistryConfig.CertDirs": {host: "the host that a directory is named after", set: func(t *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, own, other *stranger) {
		t.Helper()
		certs := t.TempDir()
		dir := filepath.Join(certs, strings.TrimPrefix(own.URL, "https://"))
		if err := errors.Join(os.Mkdir(dir, 0o700), own.authority.WriteFile(filepath.Join(dir, "own.crt")), other.authority.WriteFile(filepath.Join(dir, "other.crt"))); err != nil {
			t.Fatal(err)
		}
		c.CertDirs = []string{certs}
	}},

	"PushOptions.Insecure": {host: registryHost, set: func(_ *testing.T, _ *registry.RegistryConfig, o *registry.PushOptions, _, _ *stranger) {
		o.Insecure = true
	}},
	"PushOptions.Tags": {}, "PushOptions.Timeout": {}, "PushOptions.Jobs": {}, "PushOptions.ChunkSize": {}, "PushOptions.Retries": {},
	"PushOptions.Compression": {}, "PushOptions.DryRun": {}, "PushOptions.Image": {}, "PushOptions.ImageID": {}, "PushOptions.Platform": {},
	"PushOptions.ForceCompression": {}, "PushOptions.NoAttestations": {},
	// It has an address asked that a manifest gives; see TestForeignLayers.
	"PushOptions.IncludeForeign": {},
	"PushOptions.DiffIDs":        {}, "PushOptions.Verify": {}, "PushOptions.NoClobber": {}, "PushOptions.MountFrom": {}, "PushOptions.Source": {}, "PushOptions.Progress": {}, "PushOptions.Result": {},
	// Functions of the caller's, which the registry is told nothing of, nor
	// they of it: Via has a password of its own for this machine alone.
	"PushOptions.Via": {}, "PushOptions.Fetch": {},
}

func setPair(t *testing.T, c *registry.RegistryConfig, _ *registry.PushOptions, own, _ *stranger) {
	t.Helper()
	c.CertFile, c.KeyFile = clientPair(t)
	c.CAData = string(own.authority.PEM())
}

// A field that is in no row is not bound to a host, nor said to need none.
func TestEverySettingIsInTheMap(t *testing.T) {
	t.Parallel()
	for _, settings := range []reflect.Type{reflect.TypeFor[registry.RegistryConfig](), reflect.TypeFor[registry.PushOptions]()} {
		for field := range settings.Fields() {
			if name := settings.Name() + "." + field.Name; !hasRow(name) {
				t.Errorf("%s has no row in the map of where each setting may go", name)
			}
		}
	}
	for name, b := range bindings {
		if (b.host != noHost) != (b.set != nil) {
			t.Errorf("%s is bound to %q without a case, or the other way about", name, b.host)
		}
	}
}

func hasRow(name string) bool {
	_, ok := bindings[name]
	return ok
}

func TestEverySettingStaysAtItsHost(t *testing.T) {
	t.Parallel()
	for name, b := range bindings {
		if b.host == noHost {
			continue
		}
		for way, lead := range led {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				other := startStranger(t, answerRegistry, "127.0.0.1")
				own := startStranger(t, func(w http.ResponseWriter, req *http.Request) {
					w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
					if _, password, _ := req.BasicAuth(); b.known && strings.HasPrefix(name, "RegistryConfig.Auth") && password != canary {
						w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					if !lead(w, req, other.URL+"/v2/elsewhere") {
						w.WriteHeader(http.StatusNotFound)
					}
				}, "127.0.0.1")
				config, opts := registry.RegistryConfig{URL: own.URL, CertDirs: []string{}}, registry.PushOptions{Retries: -1}
				b.set(t, &config, &opts, own, other)
				if b.known {
					certs := t.TempDir()
					for _, s := range []*stranger{own, other} {
						dir := filepath.Join(certs, strings.TrimPrefix(s.URL, "https://"))
						if err := errors.Join(os.Mkdir(dir, 0o700), s.authority.WriteFile(filepath.Join(dir, "ca.crt"))); err != nil {
							t.Fatal(err)
						}
					}
					config.CertDirs = []string{certs}
				}
				c, err := remote.New(config, &remote.Options{Retries: -1})
				if err != nil {
					t.Fatal(err)
				}
				_ = push(t, c, writeLayout(t, []byte("x")), opts) // where it leads is what counts
				_, _ = c.Tags(t.Context(), "me/app")
				_, _ = c.Manifest(t.Context(), "me/app", "1")
				seen, shown := other.reached()
				if len(seen) > 0 && !b.known {
					t.Errorf("it serves another host: %s %s", seen[0].Method, seen[0].URL)
				}
				for _, req := range seen {
					if header := req.Header.Get("Authorization"); header != "" {
						t.Errorf("another host was sent %q", header)
					}
				}
				if len(shown) > 0 {
					t.Errorf("another host was shown the certificate of %q", shown)
				}
				if seen, _ := own.reached(); len(seen) == 0 {
					t.Error("the registry itself was not reached: the case shows nothing")
				}
			})
		}
	}
}
