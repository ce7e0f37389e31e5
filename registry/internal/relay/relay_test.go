package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a destination that keeps what it gets.
type memory struct {
	t *testing.T

	// mu guards the fields below.
	mu    sync.Mutex
	blobs map[digest.Digest][]byte
	root  *image.Manifest
	// passes is how many blobs break off too late to be sent again without a copy.
	passes int
}

func (m *memory) Find(_ context.Context, d digest.Digest) (ocispec.Descriptor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, found := m.blobs[d]
	if !found {
		return ocispec.Descriptor{}, nil
	}
	return ocispec.Descriptor{Digest: d, Size: int64(len(data))}, nil
}

func (m *memory) Mount(ctx context.Context, d digest.Digest) (bool, error) {
	found, err := m.Find(ctx, d)
	return found.Digest != "", err
}

func (m *memory) Config(_ context.Context, d digest.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blobs[d], nil
}

func (m *memory) Enter(ctx context.Context) (leave func(), err error) { return func() {}, ctx.Err() }

func (m *memory) Parted() bool { return false }

func (m *memory) Send(_ context.Context, _ *image.Blob, body io.Reader, keep bool) (image.Sent, error) {
	data, err := io.ReadAll(body)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.passes > 0 && !keep {
		m.passes--
		return image.Sent{}, content.ErrPassed
	}
	d := digest.FromBytes(data)
	m.blobs[d] = data
	return image.Sent{Digest: d, Size: int64(len(data))}, err
}

func (m *memory) Exists(ocispec.Descriptor) {}

func (m *memory) PutManifest(context.Context, image.Manifest) error { return nil }

func (m *memory) PutRoot(_ context.Context, root image.Manifest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range root.References {
		if _, found := m.blobs[d.Digest]; !found {
			return fmt.Errorf("%w: %s", registry.ErrBlobUnknown, d.Digest)
		}
	}
	m.root = &root
	return nil
}

func (m *memory) Debug(_ context.Context, what string, err error) { m.t.Logf("%s: %v", what, err) }

// call performs a request of the holder's, and wants a status.
func call(ctx context.Context, to registry.Loopback, method, path string, body []byte, want int) (http.Header, error) {
	host, repository, _ := strings.Cut(to.Repository, "/")
	if !strings.HasPrefix(path, "/v2/") {
		path = "/v2/" + repository + "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Close = true
	req.SetBasicAuth(to.Username, to.Password)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s, want %d, %w", method, path, resp.Status, want, err)
	}
	return resp.Header, nil
}

// pushed is an image of one layer.
func pushed(t *testing.T) (manifest []byte, blobs [][]byte) {
	t.Helper()
	config, layer := []byte(`{"rootfs":{"type":"layers"}}`), []byte("layer")
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(layer), Size: int64(len(layer))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return manifest, [][]byte{config, layer}
}

// push pushes an image as a containerd store does.
func push(ctx context.Context, to registry.Loopback, manifest []byte, blobs [][]byte) error {
	for _, blob := range blobs {
		d := digest.FromBytes(blob).String()
		if _, err := call(ctx, to, http.MethodHead, "blobs/"+d, nil, http.StatusOK); err == nil {
			continue
		}
		header, err := call(ctx, to, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		if _, err := call(ctx, to, http.MethodPut, header.Get("Location")+"?digest="+d, blob, http.StatusCreated); err != nil {
			return err
		}
	}
	_, err := call(ctx, to, http.MethodPut, "manifests/"+to.Tag, manifest, http.StatusCreated)
	return err
}

// The holder may ask before there is a destination: it gets its answer afterwards,
// and nobody is asked meanwhile.
func TestNothingIsAskedBeforeTheDestinationIsKnown(t *testing.T) {
	t.Parallel()
	manifest, blobs := pushed(t)
	asked, answered := make(chan registry.Loopback, 1), make(chan error, 1)
	m := &memory{t: t, blobs: map[digest.Digest][]byte{}}
	r, err := relay.Begin(t.Context(), relay.Job{Debug: m.Debug, Via: func(ctx context.Context, to registry.Loopback) error {
		asked <- to
		_, err := call(ctx, to, http.MethodHead, "blobs/"+digest.FromBytes(blobs[0]).String(), nil, http.StatusNotFound)
		answered <- err
		return errors.Join(err, push(ctx, to, manifest, blobs))
	}})
	if err != nil {
		t.Fatal(err)
	}
	to := <-asked
	<-to.Reached // the question is there, and waits
	for range 20 {
		if _, err := call(t.Context(), to, http.MethodGet, "/v2/", nil, http.StatusOK); err != nil {
			t.Fatal(err)
		}
	}
	if len(answered) > 0 {
		t.Error("the question was answered by nobody")
	}
	r.Open(m)
	if got := r.Finish(); got.Err != nil || got.Root == nil || m.root == nil {
		t.Errorf("got %+v", got)
	}
}

// slow is a destination that answers no question before its context ends.
type slow struct {
	memory
	asked chan struct{}
	ended error // why it did
}

func (s *slow) Mount(ctx context.Context, _ digest.Digest) (bool, error) {
	close(s.asked)
	<-ctx.Done()
	s.ended = context.Cause(ctx)
	return false, s.ended
}

// A holder that does not reach the port asks for nothing: nobody waits for what the
// destination says of the layers.
func TestNothingIsWaitedForWithoutAHolder(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := cache.New(t.TempDir(), slog.New(slog.DiscardHandler))
	layer := digest.FromString("a layer that was pushed before")
	c.Learn(cache.Lesson{DiffID: layer, Form: image.Compression{Algorithm: image.Gzip}, Layer: cache.Layer{Digest: layer, Size: 1}})
	m := &slow{memory: memory{t: t}, asked: make(chan struct{})}
	unreached := errors.New("connection refused")
	r, err := relay.Begin(ctx, relay.Job{
		Cache: c, DiffIDs: []digest.Digest{layer}, Form: image.Compression{Algorithm: image.Gzip}, Debug: m.Debug,
		Via: func(context.Context, registry.Loopback) error {
			<-m.asked
			return unreached
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Open(m)
	if got := r.Finish(); !errors.Is(got.Err, unreached) || got.Reached || !errors.Is(m.ended, unreached) {
		t.Errorf("got %+v; the question ended with: %v", got, m.ended)
	}
}

// The port stays open until the holder's push has ended: it still asks when its
// manifest has arrived, and may have to push once more.
func TestThePortOutlivesTheManifest(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprint("again:", again), func(t *testing.T) {
			t.Parallel()
			manifest, blobs := pushed(t)
			m := &memory{t: t, blobs: map[digest.Digest][]byte{}}
			want := 1
			if again {
				m.passes, want = 1, 2
			}
			pushes := 0
			r, err := relay.Begin(t.Context(), relay.Job{Debug: m.Debug, Via: func(ctx context.Context, to registry.Loopback) error {
				pushes++
				err := push(ctx, to, manifest, blobs)
				_, errAsk := call(ctx, to, http.MethodHead, "blobs/"+digest.FromBytes(blobs[1]).String(), nil, http.StatusOK)
				_, errPing := call(ctx, to, http.MethodGet, "/v2/", nil, http.StatusOK)
				return errors.Join(err, errAsk, errPing)
			}})
			if err != nil {
				t.Fatal(err)
			}
			r.Open(m)
			if got := r.Finish(); got.Err != nil || got.Root == nil || m.root == nil || pushes != want {
				t.Errorf("got %+v after %d pushes, want %d", got, pushes, want)
			}
		})
	}
}

// An upload is one request and has one digest; what is no upload is refused.
func TestUploadsAreRefused(t *testing.T) {
	t.Parallel()
	_, blobs := pushed(t)
	layer := blobs[1]
	m := &memory{t: t, blobs: map[digest.Digest][]byte{}}
	r, err := relay.Begin(t.Context(), relay.Job{Debug: m.Debug, Via: func(ctx context.Context, to registry.Loopback) error {
		d, other := digest.FromBytes(layer).String(), digest.FromString("other").String()
		header, err := call(ctx, to, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		upload := header.Get("Location")
		for _, step := range []struct {
			method, path string
			want         int
		}{
			{http.MethodPatch, "blobs/uploads/unknown", http.StatusNotFound},
			{http.MethodPut, "blobs/uploads/unknown?digest=" + d, http.StatusNotFound},
			{http.MethodPut, upload + "?digest=none", http.StatusBadRequest},
			{http.MethodPatch, upload, http.StatusAccepted},
			{http.MethodPatch, upload, http.StatusRequestedRangeNotSatisfiable},
			{http.MethodPut, upload + "?digest=" + other, http.StatusBadRequest},
			{http.MethodPut, upload + "?digest=" + d, http.StatusCreated},
			{http.MethodPut, upload + "?digest=" + d, http.StatusNotFound},
		} {
			if _, err := call(ctx, to, step.method, step.path, layer, step.want); err != nil {
				t.Error(err)
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.Open(m)
	if got := r.Finish(); got.Err != nil || got.Root != nil || got.Refused != nil || !got.Reached {
		t.Errorf("got %+v", got)
	}
}
