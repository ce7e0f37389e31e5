package remote_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// browsing is a client of a registry that holds alice/app with 250 tags.
func browsing(t *testing.T, config registrytest.Config) (*remote.Client, *registrytest.Server) {
	t.Helper()
	s := registrytest.Start(t, config)
	client, err := remote.New(s.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	source, err := image.Open(writeLayout(t, []byte("layer")), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	options := registry.PushOptions{Source: source}
	for i := range 1250 {
		options.Tags = append(options.Tags, fmt.Sprintf("t%04d", i))
	}
	if err := client.Push(t.Context(), "alice/app:t0000", options); err != nil {
		t.Fatal(err)
	}
	return client, s
}

func TestBrowse(t *testing.T) {
	for name, flavor := range map[string]registrytest.Flavor{
		"gitea": registrytest.Gitea, "forgejo": registrytest.Forgejo, "distribution": registrytest.Distribution,
	} {
		t.Run(name, func(t *testing.T) {
			client, s := browsing(t, registrytest.Config{Flavor: flavor})
			repositories, err := client.Repositories(t.Context())
			if err != nil || !slices.Equal(repositories, []string{"alice/app"}) {
				t.Errorf("got repositories %v, %v", repositories, err)
			}
			tags, err := client.Tags(t.Context(), "alice/app")
			if err != nil || len(tags) != 1250 || tags[1249] != "t1249" {
				t.Errorf("got %d tags, %v", len(tags), err)
			}
			want := map[registrytest.Flavor]int{registrytest.Distribution: 1} // it gives all at once
			if pages := len(s.Requests(http.MethodGet, "/tags/list")); pages != cmp.Or(want[flavor], 2) {
				t.Errorf("%d requests for tags", pages)
			}
			m, err := client.Manifest(t.Context(), "alice/app", "t0007")
			if err != nil {
				t.Fatal(err)
			}
			if d, err := client.ManifestDigest(t.Context(), "alice/app", "t0007"); err != nil || d != m.Descriptor.Digest {
				t.Errorf("got digest %s, %v, want %s", d, err, m.Descriptor.Digest)
			}
			if config, err := client.Config(t.Context(), "alice/app", m.References[0].Digest); err != nil || len(config) == 0 {
				t.Errorf("got config %s, %v", config, err)
			}
			reference := "t0007"
			if flavor == registrytest.Distribution { // which deletes no tag by itself
				if err := client.Delete(t.Context(), "alice/app", reference); !errors.Is(err, registry.ErrUnsupported) {
					t.Errorf("delete a tag: got %v, want ErrUnsupported", err)
				}
				reference = m.Descriptor.Digest.String()
			}
			if err := client.Delete(t.Context(), "alice/app", reference); err != nil {
				t.Error(err)
			}
			if slices.Contains(s.Tags("alice/app"), "t0007") {
				t.Error("the tag is still there")
			}
			for _, reference := range []string{"t0007", "sha256:" + strings.Repeat("0", 64)} {
				_, err := client.Manifest(t.Context(), "alice/app", reference)
				_, headErr := client.ManifestDigest(t.Context(), "alice/app", reference)
				unknown := []error{err, headErr}
				if flavor != registrytest.Distribution { // which does not look before it deletes
					unknown = append(unknown, client.Delete(t.Context(), "alice/app", reference))
				}
				for _, err := range unknown {
					if !errors.Is(err, registry.ErrManifestUnknown) {
						t.Errorf("%s: got %v, want ErrManifestUnknown", reference, err)
					}
				}
			}
			if _, err := client.Tags(t.Context(), "alice/none"); !errors.Is(err, registry.ErrRepositoryUnknown) {
				t.Errorf("got %v, want ErrRepositoryUnknown", err)
			}
		})
	}
}

// Names that a registry makes up get neither into an address nor onto a
// terminal.
func TestBrowseLeavesOutFalseNames(t *testing.T) {
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		switch req.URL.Path {
		case "/v2/_catalog":
			fmt.Fprint(w, `{"repositories":["a/b","../c","a/\u001b[2J","A","a b"]}`)
		case "/v2/a/b/tags/list":
			fmt.Fprint(w, `{"tags":["1","../../x","\u202e","a b"]}`)
		default:
			return false
		}
		return true
	})
	client := s.client(t, registry.AuthConfig{})
	if got, err := client.Repositories(t.Context()); err != nil || !slices.Equal(got, []string{"a/b"}) {
		t.Errorf("got repositories %q, %v", got, err)
	}
	if got, err := client.Tags(t.Context(), "a/b"); err != nil || !slices.Equal(got, []string{"1"}) {
		t.Errorf("got tags %q, %v", got, err)
	}
}

// A registry that does not delete says so in one of several ways.
func TestDeleteUnsupported(t *testing.T) {
	for _, answer := range []struct {
		status int
		body   string
	}{
		{http.StatusMethodNotAllowed, `{"errors":[{"code":"UNSUPPORTED"}]}`},
		{http.StatusMethodNotAllowed, ``},
		{http.StatusBadRequest, `{"errors":[{"code":"DIGEST_INVALID"}]}`},
	} {
		s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
			if req.Method == http.MethodDelete {
				w.WriteHeader(answer.status)
				fmt.Fprint(w, answer.body)
			}
			return req.Method == http.MethodDelete
		})
		if err := s.client(t, registry.AuthConfig{}).Delete(t.Context(), "a/b", "1"); !errors.Is(err, registry.ErrUnsupported) {
			t.Errorf("%d %s: got %v", answer.status, answer.body, err)
		}
	}
}

// The API is asked at the registry's own origin, and no other is.
func TestAsk(t *testing.T) {
	other := start(t, func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "elsewhere")
		return true
	})
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.URL.Path == "/away":
			http.Redirect(w, req, other.URL+"/x", http.StatusFound)
		case strings.HasPrefix(req.URL.Path, "/gitea/api/v1/to/"):
			http.Redirect(w, req, "/"+strings.TrimPrefix(req.URL.Path, "/gitea/api/v1/to/"), http.StatusFound)
		case req.Header.Get("Authorization") == "":
			w.WriteHeader(http.StatusForbidden)
		}
		return true
	})
	s.alsoTrust(t, other)
	client := s.client(t, registry.AuthConfig{Token: canary})
	for path, want := range map[string]int{
		"/api?q=1": http.StatusOK, "/away": http.StatusFound,
		"/gitea/api/v1/to/gitea/api/v1/renamed": http.StatusOK,
		// Of another program on the same host.
		"/gitea/api/v1/to/app": http.StatusForbidden, "/gitea/api/v1/to/gitea/api/v1x": http.StatusForbidden,
	} {
		resp, err := client.Ask(t.Context(), http.MethodGet, path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d", path, resp.StatusCode)
		}
	}
	for _, path := range []string{"@" + strings.TrimPrefix(other.URL, "https://") + "/x", ".evil.example/x", ":80/x", "x"} {
		if resp, err := client.Ask(t.Context(), http.MethodGet, path); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%q was asked: %s", path, resp.Request.URL)
		}
	}
	if len(other.seen) > 0 {
		t.Errorf("another origin was asked: %v", other.seen)
	}
}
