package remote_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// without is a tar of an OCI layout, as the containerd store writes it when it does
// not hold these layers of the image.
func without(t *testing.T, whole []byte, layers ...[]byte) []byte {
	t.Helper()
	var kept []entry
	for r := tar.NewReader(bytes.NewReader(whole)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return pack(t, kept...)
		}
		data, readErr := io.ReadAll(r)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(layers, func(layer []byte) bool { return bytes.Equal(layer, data) }) {
			kept = append(kept, entry{header.Name, data})
		}
	}
}

// Layers that the source lacks are read from another registry.
func TestLayersThatTheSourceLacks(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100 << 10, 6 << 20} { // in memory, and in a temporary file
		origin, srv := registrytest.Start(t, registrytest.Config{}), registrytest.Start(t, registrytest.Config{})
		held, lacking := layerOf(t, 1000), layerOf(t, size)
		whole, root := layout(t, held, lacking)
		from := clientOf(t, origin, remote.Options{Save: save(whole)})
		if err := from.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
			t.Fatal(err)
		}
		c := clientOf(t, srv, remote.Options{Save: save(without(t, whole, lacking, []byte("{}")))}) // nor the config
		opts := registry.PushOptions{Fetch: func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
			return from.Blob(ctx, "alice/app", d)
		}}
		// What breaks off on its way to the registry is sent again, without another download.
		ofLayer := func(req *http.Request) bool { return req.ContentLength == int64(len(lacking)) }
		srv.Fault(registrytest.Rule{Match: ofLayer, Times: 1, Action: registrytest.Cut{After: int64(size) - 1000}})
		if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
			t.Fatal(err)
		}
		if data, _, _ := srv.Manifest("alice/app", "1"); digest.FromBytes(data) != root {
			t.Errorf("got the manifest %q, want %s", data, root)
		}
		if got, found := srv.HasBlob("alice/app", digest.FromBytes(lacking)); !found || got != int64(len(lacking)) {
			t.Errorf("the registry has %d bytes of the layer, want %d", got, len(lacking))
		}
	}
}

// A push fails, names every layer that is nowhere, and tags nothing.
func TestLayersThatNobodyHas(t *testing.T) {
	t.Parallel()
	one, two := layerOf(t, 1000), layerOf(t, 2000)
	whole, _ := layout(t, layerOf(t, 500), one, two)
	for name, fetch := range map[string]func(context.Context, digest.Digest) (io.ReadCloser, error){
		"nobody knows from where": nil,
		"a fetch that fails": func(context.Context, digest.Digest) (io.ReadCloser, error) {
			return nil, errors.Join(registry.ErrUnauthorized, errors.New("elsewhere"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{Save: save(without(t, whole, one, two))})
			err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Fetch: fetch})
			missing, ok := errors.AsType[*registry.MissingError](err)
			if !ok || len(missing.Digests) != 2 || !errors.Is(err, registry.ErrBlobUnknown) {
				t.Fatalf("got %v, want both layers", err)
			}
			for _, layer := range [][]byte{one, two} {
				if d := digest.FromBytes(layer); !strings.Contains(err.Error(), d.String()) {
					t.Errorf("%v does not name %s", err, d)
				}
			}
			if fetch != nil && !strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("%v does not say why", err)
			}
			if errors.Is(err, registry.ErrUnauthorized) {
				t.Error("another registry's refusal is taken for that of the push's")
			}
			if tags := srv.Tags("alice/app"); len(tags) > 0 {
				t.Errorf("tagged %v", tags)
			}
		})
	}
}

// Where one layer is nowhere, the others are not even sent.
func TestNothingIsSentOfAnIncompleteImage(t *testing.T) {
	t.Parallel()
	nowhere, elsewhere := layerOf(t, 1000), layerOf(t, 2000)
	whole, _ := layout(t, nowhere, elsewhere)
	srv := registrytest.Start(t, registrytest.Config{})
	c := clientOf(t, srv, remote.Options{Save: save(without(t, whole, nowhere, elsewhere))})
	closed := make(chan bool, 1)
	var result registry.Result
	err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &result, Fetch: func(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
		if d == digest.FromBytes(nowhere) {
			return nil, registry.ErrBlobUnknown
		}
		return &told{Reader: bytes.NewReader(elsewhere), closed: closed}, nil
	}})
	missing, ok := errors.AsType[*registry.MissingError](err)
	if !ok || len(missing.Digests) != 1 || missing.Digests[0] != digest.FromBytes(nowhere) {
		t.Errorf("got %v, want the one layer named", err)
	}
	if result.BytesSent > 0 {
		t.Errorf("sent %d bytes", result.BytesSent)
	}
	select {
	case <-closed:
	default:
		t.Error("what was opened was not closed")
	}
}

// told tells that it was closed.
type told struct {
	io.Reader
	closed chan<- bool
}

func (t *told) Close() error {
	t.closed <- true
	return nil
}

// What is fetched is compared with the digest and the size.
func TestFetchOfOtherBytes(t *testing.T) {
	t.Parallel()
	layer := layerOf(t, 1000)
	whole, _ := layout(t, layer)
	other := bytes.Clone(layer)
	other[len(other)/2] ^= 1
	for name, got := range map[string]io.Reader{
		"other bytes": bytes.NewReader(other),
		"too few":     bytes.NewReader(layer[1:]),
		"no end":      &endless{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{Save: save(without(t, whole, layer))})
			err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Fetch: func(context.Context, digest.Digest) (io.ReadCloser, error) {
				return io.NopCloser(got), nil
			}})
			if !errors.Is(err, registry.ErrDigestMismatch) {
				t.Errorf("got %v, want %v", err, registry.ErrDigestMismatch)
			}
			if _, found := srv.HasBlob("alice/app", digest.FromBytes(layer)); found {
				t.Error("the registry has the layer")
			}
		})
	}
}

// A layer that was compressed on its way before its manifest said to leave it as
// it is, is read back from the registry. What breaks off there is the way, not the
// source, and is tried again.
func TestReadingBackBreaksOff(t *testing.T) {
	t.Parallel()
	layer := layerOf(t, 300<<10)
	whole, root := layout(t, layer)
	for name, action := range map[string]registrytest.Action{
		"without an answer":  registrytest.Cut{Reset: true},
		"within its answer":  halfAnswer{},
		"by a busy registry": registrytest.ProxyError(http.StatusServiceUnavailable, "nginx"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{Save: save(whole)})
			fault := srv.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/blobs/sha256", Times: 1, Action: action})
			if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if fault.Hits() != 1 {
				t.Errorf("the fault was met %d times", fault.Hits())
			}
			if data, _, _ := srv.Manifest("alice/app", "1"); digest.FromBytes(data) != root {
				t.Errorf("got the manifest %q, want %s", data, root)
			}
		})
	}
}

// halfAnswer resets the connection within the body of the answer.
type halfAnswer struct{}

func (halfAnswer) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, req)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the client has gone
	}
	whole, _ := httputil.DumpResponse(answer.Result(), true) // from memory
	_, _ = conn.Write(whole[:len(whole)/2])
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// endless never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
