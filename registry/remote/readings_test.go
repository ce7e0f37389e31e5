package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// answering lets the registry do what it is asked, and answers otherwise.
func answering(change func(w http.ResponseWriter, req *http.Request, status int)) registrytest.ActionFunc {
	return func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		held := &withheld{ResponseWriter: w}
		next.ServeHTTP(held, req)
		w.Header().Del("Content-Length")
		change(w, req, held.status)
	}
}

// withheld keeps an answer's status back, and its body.
type withheld struct {
	http.ResponseWriter
	status int
}

func (h *withheld) WriteHeader(status int) { h.status = status }

func (h *withheld) Write(b []byte) (int, error) { return len(b), nil }

// seldom is a client whose layers arrive in small pieces, so that they are still
// being compressed while their first part is sent.
func seldom(data []byte) image.SaveFunc {
	return func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(pieces{bytes.NewReader(data)}), nil
	}
}

type pieces struct{ r io.Reader }

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), 32<<10)]) }

// What other registries and proxies answer is read as widely as the
// specification and they mean it.
func TestReadings(t *testing.T) {
	t.Parallel()
	status := func(status int) registrytest.Action {
		return answering(func(w http.ResponseWriter, _ *http.Request, was int) {
			if was >= 300 {
				status = was
			}
			w.WriteHeader(status)
		})
	}
	ranged := func(held string, status int) registrytest.Action {
		return answering(func(w http.ResponseWriter, _ *http.Request, was int) {
			w.Header().Set("Range", held)
			if was < 300 {
				was = status
			}
			w.WriteHeader(was)
		})
	}
	for name, tc := range map[string]struct {
		rule registrytest.Rule
		opts registry.PushOptions
	}{
		"a manifest is accepted":            {rule: registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: status(202)}},
		"a manifest is answered by nothing": {rule: registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Action: status(204)}},
		"HEAD is redirected": {rule: registrytest.Rule{Method: http.MethodHead, Path: "/blobs/", Action: answering(func(w http.ResponseWriter, req *http.Request, _ int) {
			w.Header().Set("Location", req.URL.Path+"?signed=1")
			w.WriteHeader(http.StatusTemporaryRedirect)
		})}},
		"HEAD is forbidden":           {rule: registrytest.Rule{Method: http.MethodHead, Action: registrytest.EmptyError(403)}},
		"HEAD is not allowed":         {rule: registrytest.Rule{Method: http.MethodHead, Action: registrytest.EmptyError(405)}},
		"a chunk is answered by 201":  {rule: registrytest.Rule{Method: http.MethodPatch, Action: status(201)}, opts: registry.PushOptions{ChunkSize: 2 << 20}},
		"the range is 0-0":            {rule: registrytest.Rule{Method: http.MethodPatch, Action: ranged("0-0", 202)}, opts: registry.PushOptions{ChunkSize: 2 << 20}},
		"the range is the last chunk": {rule: registrytest.Rule{Method: http.MethodPatch, Action: ranged("0-2097151", 202)}, opts: registry.PushOptions{ChunkSize: 2 << 20}},
		"Expect is refused":           {rule: registrytest.Rule{Match: func(req *http.Request) bool { return req.Header.Get("Expect") != "" }, Action: registrytest.Answer{Status: http.StatusExpectationFailed, Early: true}}},
		"the first chunk is refused":  {rule: registrytest.Rule{Method: http.MethodPatch, Times: 1, Action: registrytest.ProxyError(502, "")}, opts: registry.PushOptions{ChunkSize: 2 << 20}},
		"a stream is refused":         {rule: registrytest.Rule{Method: http.MethodPatch, Times: 1, Action: registrytest.Answer{Status: 503, Early: true, Body: "busy"}}},
		"the answer to PUT is lost":   {rule: registrytest.Rule{Method: http.MethodPut, Path: "/uploads/", Times: 1, Action: registrytest.Late{Action: registrytest.ProxyError(504, "")}}},
	} {
		for _, flavor := range []registrytest.Flavor{registrytest.Gitea, registrytest.Forgejo, registrytest.Distribution} {
			t.Run(fmt.Sprintf("%s, %v", name, flavor), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: flavor})
				srv.Registry.Fault(tc.rule)
				archive, _ := saved(t, false, layerOf(t, 6<<20))
				c := clientOf(t, srv, remote.Options{Save: seldom(archive), CacheDir: t.TempDir()})
				var first, second registry.Result
				opts := tc.opts
				for tag, result := range map[string]*registry.Result{"1": &first, "2": &second} { // the second knows
					opts.Result = result
					if err := c.Push(t.Context(), "alice/app:"+tag, opts); err != nil {
						t.Fatal(err)
					}
				}
				if first.Digest != second.Digest || first.Digest == "" {
					t.Errorf("got %s and %s", first.Digest, second.Digest)
				}
			})
		}
	}
}

// A registry that wants 4 MiB at least, behind a proxy that takes 3 MiB.
func TestChunksLargerThanAllowed(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution, Proxy: &registrytest.Proxy{MaxBody: 3 << 20}})
	srv.Registry.Fault(registrytest.Rule{Method: http.MethodPost, Path: "/uploads/", Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.Header().Set("OCI-Chunk-Min-Length", "4194304")
		next.ServeHTTP(w, req)
	})})
	archive, _ := layout(t, gzipped(t, layerOf(t, 12<<20)))
	var result registry.Result
	err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", registry.PushOptions{Retries: 1, Result: &result})
	if err == nil || !strings.Contains(err.Error(), "the registry wants parts of at least 4194304 bytes") {
		t.Errorf("got %v", err)
	}
	if result.Requests > 60 {
		t.Errorf("got %d requests", result.Requests)
	}
}

// What the system says of a file that cannot be made is what the push says.
func TestNoRoomForALayer(t *testing.T) {
	for _, algorithm := range []string{image.Gzip, image.Zstd, image.None} {
		srv := registrytest.Start(t, registrytest.Config{})
		archive, _ := saved(t, true, layerOf(t, 20<<20))
		t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
		err := clientOf(t, srv, remote.Options{Save: save(archive)}).Push(t.Context(), "alice/app:1", registry.PushOptions{Compression: image.Compression{Algorithm: algorithm}})
		if err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: got %v", algorithm, err)
		}
	}
}

// A media type may have parameters.
func TestMediaTypeWithParameters(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, _ := layout(t, gzipped(t, layerOf(t, 1000)))
	c := clientOf(t, srv, remote.Options{Save: save(archive)})
	if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	want, err := c.Manifest(t.Context(), "alice/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, parameter := range []string{"; charset=utf-8", ";charset=utf-8", " ; x=y"} {
		srv.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/manifests/", Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", want.Descriptor.MediaType+parameter)
			_, _ = w.Write(want.Data)
		})})
		got, err := c.Manifest(t.Context(), "alice/app", "1")
		if err != nil || got.Descriptor.MediaType != want.Descriptor.MediaType {
			t.Errorf("%q: got %q, %v", parameter, got.Descriptor.MediaType, err)
		}
	}
}

// The connection ends after the last byte of a blob, before that is told.
func TestDownloadCutAfterItsLastByte(t *testing.T) {
	t.Parallel()
	blob := noise(t, 1, 50000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r := req.Header.Get("Range"); r != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		_, _ = w.Write(blob)
		_ = http.NewResponseController(w).Flush() // without a length
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.Close()
	}))
	t.Cleanup(srv.Close)
	c, err := remote.New(registry.RegistryConfig{URL: srv.URL}, &remote.Options{Backoff: func(int) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Blob(t.Context(), "alice/app", digest.FromBytes(blob))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(data, blob) {
		t.Errorf("got %d of %d bytes, %v", len(data), len(blob), err)
	}
}
