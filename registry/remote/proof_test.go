package remote_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A sign-in page in front of a network answers everything. Nothing of that is
// taken for a registry's yes.
func TestPortal(t *testing.T) {
	t.Parallel()
	for status, text := range map[int]string{200: "text/html", 201: "text/html", 202: "text/html", 204: ""} {
		page := func(w http.ResponseWriter, _ *http.Request) {
			if text != "" {
				w.Header().Set("Content-Type", text)
			}
			w.WriteHeader(status)
			if text != "" {
				_, _ = w.Write([]byte("<html>please accept our terms</html>"))
			}
		}
		srv := httptest.NewServer(http.HandlerFunc(page))
		defer srv.Close()
		c, err := remote.New(registry.RegistryConfig{URL: srv.URL, Auth: secretAuth}, &remote.Options{Backoff: func(int) time.Duration { return 0 }})
		if err != nil {
			t.Fatal(err)
		}
		var result registry.Result
		for name, do := range map[string]func() error{
			"push": func() error {
				return push(t, c, writeLayout(t, []byte("layer"), make([]byte, 1<<20)), registry.PushOptions{Result: &result})
			},
			"push in chunks": func() error {
				return push(t, c, writeLayout(t, make([]byte, 6<<20)), registry.PushOptions{ChunkSize: 1 << 20})
			},
			"delete":       func() error { return c.Delete(t.Context(), "alice/app", "1") },
			"tags":         func() error { _, err := c.Tags(t.Context(), "alice/app"); return err },
			"repositories": func() error { _, err := c.Repositories(t.Context()); return err },
			"manifest":     func() error { _, err := c.Manifest(t.Context(), "alice/app", "1"); return err },
			"digest":       func() error { _, err := c.ManifestDigest(t.Context(), "alice/app", "1"); return err },
			"health":       func() error { return c.Health(t.Context()) },
			"authenticate": func() error { return c.Authenticate(t.Context(), secretAuth) },
		} {
			if err := do(); err == nil {
				t.Errorf("%d, %s: got no error", status, name)
			} else if strings.HasPrefix(name, "push") && !errors.Is(err, registry.ErrNotRegistry) {
				t.Errorf("%d, %s: got %v, want %v", status, name, err, registry.ErrNotRegistry)
			}
		}
		if result.Digest != "" {
			t.Errorf("%d: the result has the digest %s", status, result.Digest)
		}
	}
}

// A registry that lets the digest out of its answers is believed once it gives
// the bytes; what it does not have it is not believed to have.
func TestAnswersWithoutDigest(t *testing.T) {
	t.Parallel()
	for name, flavor := range map[string]registrytest.Flavor{"gitea": registrytest.Gitea, "distribution": registrytest.Distribution} {
		for what, keepLocation := range map[string]bool{"a location": true, "nothing": false} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor, Users: me})
				srv.Registry.Fault(registrytest.Rule{Action: withoutDigests(keepLocation)})
				c := clientOf(t, srv, remote.Options{})
				layout := writeLayout(t, []byte("layer"), make([]byte, 6<<20))
				for _, verify := range []bool{false, true} {
					if err := push(t, c, layout, registry.PushOptions{Verify: verify}); err != nil {
						t.Fatalf("verify %v: %v", verify, err)
					}
				}
				if _, _, found := srv.Registry.Manifest("me/app", "1"); !found {
					t.Error("the tag leads to nothing")
				}
			})
		}
	}
}

// Where a HEAD proves nothing, --verify reads the blobs: those that are whole,
// whatever the HEAD says, are there, and those that are not are told.
func TestVerifyReadsWhatNoHeadProves(t *testing.T) {
	t.Parallel()
	layer := []byte("layer")
	blob := "/blobs/" + digest.FromBytes(layer).String()
	for name, row := range map[string]struct {
		head, get registrytest.Action
		lacks     bool
	}{
		"no digest":             {withoutDigests(false), nil, false},
		"no HEAD":               {registrytest.EmptyError(http.StatusMethodNotAllowed), nil, false},
		"HEAD is denied":        {registrytest.EmptyError(http.StatusForbidden), nil, false},
		"cut after three bytes": {withoutDigests(false), registrytest.ActionFunc(cutAfterThree), false},
		"other bytes":           {withoutDigests(false), registrytest.Answer{Body: "LAYER"}, true},
		"more bytes":            {withoutDigests(false), registrytest.Answer{Body: "layers"}, true},
		"neither":               {registrytest.EmptyError(http.StatusNotFound), registrytest.EmptyError(http.StatusNotFound), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{Users: me})
			srv.Registry.Fault(registrytest.Rule{Method: http.MethodHead, Path: blob, Action: row.head})
			if row.get != nil {
				srv.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: blob, Action: row.get})
			}
			err := push(t, clientOf(t, srv, remote.Options{}), writeLayout(t, layer), registry.PushOptions{Verify: true})
			if row.lacks != errors.Is(err, registry.ErrBlobUnknown) || !row.lacks && err != nil {
				t.Errorf("got %v, want that it lacks the layer: %v", err, row.lacks)
			}
			if n := len(srv.Registry.Requests(http.MethodGet, blob)); n == 0 {
				t.Errorf("the blob was read %d times", n)
			}
		})
	}
}

// cutAfterThree ends the connection in the middle of the layer, the first time.
func cutAfterThree(w http.ResponseWriter, req *http.Request, next http.Handler) {
	if req.Header.Get("Range") != "" {
		next.ServeHTTP(w, req)
		return
	}
	w.Header().Set("Content-Length", "5")
	_, _ = w.Write([]byte("lay"))
}

// me owns what push pushes.
var me = []registrytest.User{{Name: "me", Password: canary}}

// withoutDigests leaves digests out of headers.
func withoutDigests(keepLocation bool) registrytest.ActionFunc {
	return func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(&dropping{ResponseWriter: w, keepLocation: keepLocation}, req)
	}
}

type dropping struct {
	http.ResponseWriter
	keepLocation bool
}

func (d *dropping) WriteHeader(status int) {
	h := d.Header()
	h.Del("Docker-Content-Digest")
	h.Del("ETag")
	if !d.keepLocation && strings.Contains(h.Get("Location"), "sha256:") {
		h.Del("Location")
	}
	d.ResponseWriter.WriteHeader(status)
}

func (d *dropping) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// A registry that says to have stored what it has not is found out.
func TestLyingRegistry(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/blobs/uploads/", "/manifests/"} {
		srv := registrytest.Start(t, registrytest.Config{Users: me})
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			srv.Registry.Fault(registrytest.Rule{Method: method, Path: path, Action: registrytest.Answer{Status: http.StatusCreated, Header: http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}}})
		}
		err := push(t, clientOf(t, srv, remote.Options{}), writeLayout(t, []byte("layer")), registry.PushOptions{})
		if err == nil || !strings.Contains(err.Error(), "names no digest") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
