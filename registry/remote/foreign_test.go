package remote_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// world is a network of hosts by their origins, which notes what they are asked.
type world struct {
	hosts map[string]http.Handler

	mu    sync.Mutex // guards asked
	asked []*http.Request
}

func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		defer req.Body.Close()
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	w.mu.Lock()
	w.asked = append(w.asked, req)
	w.mu.Unlock()
	recorder := httptest.NewRecorder()
	again := req.Clone(req.Context())
	again.Body, again.RequestURI = io.NopCloser(bytes.NewReader(body)), req.URL.RequestURI()
	if host := w.hosts[req.URL.Scheme+"://"+req.URL.Host]; host != nil {
		host.ServeHTTP(recorder, again)
	} else {
		recorder.WriteHeader(http.StatusNotFound)
	}
	resp := recorder.Result()
	resp.Request = req
	return resp, nil
}

// others are the requests that did not go to the registry.
func (w *world) others() (all []*http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, req := range w.asked {
		if req.URL.Host != "git.example.com" {
			all = append(all, req)
		}
	}
	return all
}

// Layers that a manifest names by a URL come from there, if that is wanted: as they
// are described, or not at all, and nobody gets a credential.
func TestForeignLayers(t *testing.T) {
	t.Parallel()
	base, top := noise(t, 5, 300_000), layerOf(t, 100)
	serve := func(data []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
	lead := func(to string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, to, http.StatusFound) })
	}
	for name, tc := range map[string]struct {
		urls  []string
		hosts map[string]http.Handler
		fails string // empty where it arrives
		asked int
	}{
		"a URL":          {[]string{"https://a.example.com/layer"}, map[string]http.Handler{"https://a.example.com": serve(base)}, "", 1},
		"the second":     {[]string{"https://a.example.com/x", "https://b.example.com/x"}, map[string]http.Handler{"https://b.example.com": serve(base)}, "", 2},
		"a redirect":     {[]string{"https://a.example.com/x"}, map[string]http.Handler{"https://a.example.com": lead("https://me:secret@b.example.com/y"), "https://b.example.com": serve(base)}, "", 2},
		"other bytes":    {[]string{"https://a.example.com/x"}, map[string]http.Handler{"https://a.example.com": serve(noise(t, 6, 300_000))}, "digest", 1},
		"more bytes":     {[]string{"https://a.example.com/x"}, map[string]http.Handler{"https://a.example.com": serve(append(bytes.Clone(base), 'x'))}, "digest", 1},
		"fewer bytes":    {[]string{"https://a.example.com/x"}, map[string]http.Handler{"https://a.example.com": serve(base[:1000])}, "digest", 1},
		"nothing":        {[]string{"https://a.example.com/x"}, nil, "404 Not Found", 1},
		"without TLS":    {[]string{"http://169.254.169.254/latest"}, map[string]http.Handler{"http://169.254.169.254": serve(base)}, "no address with https", 0},
		"led out of TLS": {[]string{"https://a.example.com/x"}, map[string]http.Handler{"https://a.example.com": lead("http://169.254.169.254/latest"), "http://169.254.169.254": serve(base)}, "redirect", 1},
		"a file":         {[]string{"file:///etc/passwd", "://", "https://"}, nil, "no address with https", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.New(registrytest.Config{})
			w := &world{hosts: map[string]http.Handler{"https://git.example.com": srv}}
			maps.Copy(w.hosts, tc.hosts)
			s := newStore(t)
			foreign := ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Digest: digest.FromBytes(base), Size: int64(len(base)), URLs: tc.urls}
			root := s.manifest(s.configFor("amd64", base, top), foreign, s.gzipped(top))
			c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com", Insecure: true, Auth: registry.AuthConfig{Token: registrytest.Token}}, &remote.Options{Transport: w, Retries: -1, CacheDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			pushed := func(include bool) error {
				source, err := image.Read(bytes.NewReader(s.export(root)), "image", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer source.Close()
				return c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, IncludeForeign: include})
			}
			err = pushed(false)
			if lacking, ok := errors.AsType[*registry.MissingError](err); !ok || !lacking.Foreign || len(w.others()) > 0 {
				t.Errorf("without it: got %v, and %d requests to others", err, len(w.others()))
			}
			err = pushed(true)
			if (err == nil) != (tc.fails == "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("got %v, want %q", err, tc.fails)
			}
			if got, there := srv.Blob(foreign.Digest); err == nil && (!there || !bytes.Equal(got, base)) {
				t.Error("the layer did not arrive")
			}
			others := w.others()
			if len(others) != tc.asked {
				t.Errorf("got %d requests to others, want %d", len(others), tc.asked)
			}
			for _, req := range others {
				if req.Header.Get("Authorization") != "" || req.Header.Get("Referer") != "" || req.URL.User != nil {
					t.Errorf("%s got %v", req.URL, req.Header)
				}
			}
		})
	}
}
