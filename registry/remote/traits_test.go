package remote_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Gitea's rules for names are those of Gitea and Forgejo, and of no other registry.
func TestNamesByTheRegistry(t *testing.T) {
	t.Parallel()
	for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Forgejo, registrytest.Distribution} {
		for name, suggestion := range map[string]string{"app": "OWNER/app", "alice/a__b": "alice/a_b", "alice/a--b": "alice/a-b"} {
			for _, auth := range []registry.AuthConfig{{Username: registrytest.Username, Password: registrytest.Password}, {}} {
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
				archive, _ := saved(t, true, layerOf(t, 1000))
				c := clientOf(t, srv, remote.Options{Save: save(archive)})
				anonymous := auth.IsZero()
				if anonymous {
					c = clientAs(t, srv, auth, remote.Options{Save: save(archive)})
				}
				err := c.Push(t.Context(), name+":1", registry.PushOptions{})
				switch fault, refused := errors.AsType[*registry.NameError](err); {
				case flavor == registrytest.Distribution && !anonymous && err != nil:
					t.Errorf("%v, %s: got %v", flavor, name, err)
				case flavor != registrytest.Distribution && (!refused || fault.Suggestion != c.Host()+"/"+suggestion+":1"):
					t.Errorf("%v, %s, anonymous %v: got %v", flavor, name, anonymous, err)
				}
			}
		}
	}
}

// Tags are told as the registry keeps them, also where an earlier push left them.
func TestTagsByTheRegistry(t *testing.T) {
	t.Parallel()
	for flavor, want := range map[registrytest.Flavor][]string{
		registrytest.Gitea:        {"rc1", "v2"},
		registrytest.Forgejo:      {"rc1", "v2"},
		registrytest.Distribution: {"RC1", "rc1", "v2"},
	} {
		srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
		archive, id := saved(t, true, layerOf(t, 1000))
		cache := t.TempDir()
		for range 2 {
			var result registry.Result
			c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: cache})
			if err := c.Push(t.Context(), "alice/app:RC1", registry.PushOptions{Tags: []string{"rc1", "v2", "RC1"}, ImageID: id, Result: &result}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(result.Tags, want) {
				t.Errorf("%v: got %v, want %v", flavor, result.Tags, want)
			}
		}
		for _, tag := range want {
			if _, _, found := srv.Registry.Manifest("alice/app", tag); !found {
				t.Errorf("%v: the registry has no tag %s", flavor, tag)
			}
		}
	}
}

// GitLab's registry names itself in a challenge as Gitea's does, but has its
// tokens at /jwt/auth (docs.gitlab.com, "Registry and token service"): it is a
// distribution registry, which keeps tags as they are and takes any name.
func TestGitLabIsNoGitea(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
	srv.Fault(registrytest.Rule{Path: "/v2/", Action: registrytest.Edit(func(h http.Header) {
		if challenge := h.Get("WWW-Authenticate"); challenge != "" {
			h.Set("WWW-Authenticate", strings.NewReplacer("/token", "/jwt/auth", `"registrytest"`, `"container_registry"`).Replace(challenge))
		}
	})})
	tokens := srv.Fault(registrytest.Rule{Path: "/jwt/auth", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		at := req.Clone(req.Context())
		at.URL.Path = "/token"
		next.ServeHTTP(w, at)
	})})
	archive, _ := saved(t, true, layerOf(t, 1000))
	c := clientOf(t, srv, remote.Options{Save: save(archive)})
	var result registry.Result
	if err := c.Push(t.Context(), "alice/sub/a__b:RC1", registry.PushOptions{Tags: []string{"rc1"}, Result: &result}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"RC1", "rc1"}; !slices.Equal(result.Tags, want) || tokens.Hits() == 0 {
		t.Errorf("got %v, %d tokens; want %v", result.Tags, tokens.Hits(), want)
	}
}
