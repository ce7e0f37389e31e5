package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// holder is somebody who has an image and pushes it to a loopback registry.
type holder struct {
	to       registry.Loopback
	password string
}

// do performs a request and wants a status.
func (h *holder) do(ctx context.Context, method, path string, body []byte, want int) (http.Header, error) {
	host, repository, _ := strings.Cut(h.to.Repository, "/")
	if !strings.HasPrefix(path, "/v2/") {
		path = "/v2/" + repository + "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Close = true // the next push may listen at the same port
	req.SetBasicAuth(h.to.Username, h.password)
	req.Header.Set("Content-Type", ocispec.MediaTypeImageManifest)
	if bytes.Contains(body, []byte(ocispec.MediaTypeImageIndex)) {
		req.Header.Set("Content-Type", ocispec.MediaTypeImageIndex)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s, want %d", method, path, resp.Status, text, want)
	}
	return resp.Header, err
}

// stream uploads as moby does, whole as containerd does.
func (h *holder) stream(ctx context.Context, blob []byte, d digest.Digest, want int) error {
	header, err := h.do(ctx, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	if header, err = h.do(ctx, http.MethodPatch, header.Get("Location"), blob, http.StatusAccepted); err != nil {
		return err
	}
	_, err = h.do(ctx, http.MethodPut, header.Get("Location")+"?digest="+d.String(), nil, want)
	return err
}

func (h *holder) whole(ctx context.Context, blob []byte, d digest.Digest, want int) error {
	header, err := h.do(ctx, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted)
	if err != nil {
		return err
	}
	_, err = h.do(ctx, http.MethodPut, header.Get("Location")+"?digest="+d.String(), blob, want)
	return err
}

// parts are a config, a layer and their manifest.
func parts(t *testing.T) (config, layer, manifest []byte) {
	t.Helper()
	layer = noise(t, 9, 6<<20)
	config, manifest = partsOf(t, layer)
	return config, layer, manifest
}

// partsOf are the config and the manifest of an image of one layer.
func partsOf(tb testing.TB, layer []byte) (config, manifest []byte) {
	tb.Helper()
	config = encode(tb, ocispec.Image{RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}}})
	manifest = encode(tb, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromBytes(layer), Size: int64(len(layer))}},
	})
	return config, manifest
}

// relayClient is a client for a registry of its own.
func relayClient(t *testing.T) *remote.Client {
	t.Helper()
	server := registrytest.Start(t, registrytest.Config{})
	c, err := remote.New(registry.RegistryConfig{URL: server.URL, Auth: registry.AuthConfig{Token: registrytest.Token}, CAFiles: []string{server.CAFile}},
		&remote.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRelay(t *testing.T) {
	config, layer, manifest := parts(t)
	configDigest, layerDigest := digest.FromBytes(config), digest.FromBytes(layer)
	c := relayClient(t)
	var repositories []string
	destination := "alice/app:1"
	push := func(via func(context.Context, *holder) error, opts registry.PushOptions) (registry.Result, error) {
		var result registry.Result
		opts.Result = &result
		opts.Via = func(ctx context.Context, to registry.Loopback) error {
			repositories = append(repositories, to.Repository)
			err := via(ctx, &holder{to, to.Password})
			if err != nil {
				t.Error(err)
			}
			return err
		}
		err := c.Push(t.Context(), destination, opts)
		return result, err
	}
	result, err := push(func(ctx context.Context, h *holder) error {
		_, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusNotFound)
		_, errPut := h.do(ctx, http.MethodPut, "manifests/push", []byte("{"), http.StatusBadRequest)
		if err = errors.Join(err, errPut,
			h.stream(ctx, layer, layerDigest, http.StatusCreated),
			h.stream(ctx, config, layerDigest, http.StatusBadRequest),
			h.whole(ctx, config, configDigest, http.StatusCreated)); err != nil {
			return err
		}
		_, err = h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
		return err
	}, registry.PushOptions{Tags: []string{"2"}, ImageID: configDigest, DiffIDs: []digest.Digest{layerDigest}})
	if err != nil {
		t.Fatal(err)
	}
	if result.Digest != digest.FromBytes(manifest) || len(result.Tags) != 2 || result.BytesSent < int64(len(layer)) {
		t.Errorf("got %+v", result)
	}

	// The image is known now; another one finds the layer there, under the
	// name of the first time, which is what a daemon remembers it by.
	again, err := push(func(context.Context, *holder) error { return errors.New("not needed") },
		registry.PushOptions{ImageID: configDigest})
	if err != nil || again.BytesSent != 0 {
		t.Errorf("the same image: %v, %+v", err, again)
	}
	other, err := push(func(ctx context.Context, h *holder) error {
		header, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK)
		if got := header.Get("Content-Length"); err == nil && got != fmt.Sprint(len(layer)) {
			err = fmt.Errorf("size %s, want %d", got, len(layer))
		}
		if err != nil {
			return err
		}
		_, err = h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
		return err
	}, registry.PushOptions{})
	if err != nil || other.BytesSent != 0 {
		t.Errorf("the same layer: %v, %+v", err, other)
	}

	// A layer that was sent to another package is found for this one.
	destination = "alice/moved:1"
	if _, err := push(func(ctx context.Context, h *holder) error {
		_, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK)
		_, errConfig := h.do(ctx, http.MethodHead, "blobs/"+configDigest.String(), nil, http.StatusOK)
		if err = errors.Join(err, errConfig); err != nil {
			return err
		}
		_, err = h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
		return err
	}, registry.PushOptions{DiffIDs: []digest.Digest{layerDigest}}); err != nil {
		t.Error(err)
	}
	if len(repositories) != 3 || repositories[0] != repositories[1] && isFree(t, repositories[0]) {
		t.Errorf("the loopback registries were %v", repositories)
	}
	if left, ours := registry.ParseLeftover(repositories[0] + ":" + registry.LoopbackTag); !ours || !left.Here {
		t.Errorf("%s is not recognised", repositories[0])
	}
}

// isFree says whether somebody could listen as the host of a repository.
func isFree(t *testing.T, repository string) bool {
	t.Helper()
	host, _, _ := strings.Cut(repository, "/")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", host)
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// While the registry is asked for the image, whoever holds it may ask for its blobs; but
// nothing is sent before the answer is there, nor afterwards if the registry has the
// image. If it turns out to have lost a blob of that, all is pushed.
func TestRelayAnswersBeforeTheImageIsKnown(t *testing.T) {
	t.Parallel()
	layer := noise(t, 9, 1000)
	config, manifest := partsOf(t, layer)
	configDigest, layerDigest, id := digest.FromBytes(config), digest.FromBytes(layer), digest.FromBytes(manifest)
	for _, test := range []struct {
		has, lost bool
		uploads   int
	}{{false, false, 2}, {true, false, 0}, {true, true, 1}} {
		server := registrytest.Start(t, registrytest.Config{})
		c := clientOf(t, server, remote.Options{})
		if test.has {
			d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: id, Size: int64(len(manifest))}
			source, err := image.Open(blobsOf(t, d, manifest, config, layer), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = c.Push(t.Context(), "alice/app:other", registry.PushOptions{Source: source})
			if err = errors.Join(err, source.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if test.lost {
			resp, err := c.Ask(t.Context(), http.MethodDelete, "/v2/alice/app/blobs/"+layerDigest.String())
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		uploads := func() int { return len(server.Registry.Requests(http.MethodPost, "/blobs/uploads/")) }
		before := uploads()
		asked, released := make(chan struct{}), make(chan struct{})
		server.Registry.Fault(registrytest.Rule{Method: http.MethodGet, Path: "/manifests/" + id.String(), Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			select {
			case <-asked:
			case <-time.After(20 * time.Second): // the test has failed
				t.Error("nobody could ask for a blob")
			}
			if sent := uploads() - before; sent > 0 {
				t.Errorf("%+v: %d uploads before the answer", test, sent)
			}
			next.ServeHTTP(w, req)
			close(released)
		})})
		begin := sync.OnceFunc(func() { close(asked) })
		var result registry.Result
		err := clientOf(t, server, remote.Options{CacheDir: t.TempDir()}).Push(t.Context(), "alice/app:1", registry.PushOptions{
			ImageID: id, Result: &result,
			Via: func(ctx context.Context, to registry.Loopback) error {
				h := &holder{to, to.Password}
				there := map[bool]int{true: http.StatusOK, false: http.StatusNotFound}[test.has && !test.lost]
				if _, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, there); err != nil {
					return err
				}
				sent := make(chan error, 1)
				go func() { sent <- h.whole(ctx, layer, layerDigest, http.StatusCreated) }()
				begin()
				<-released
				if err := <-sent; err != nil {
					return err
				}
				if err := h.whole(ctx, config, configDigest, http.StatusCreated); err != nil {
					return err
				}
				_, err := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
				return err
			},
		})
		if err != nil || result.Digest != id || len(result.Blobs) != 2 {
			t.Errorf("%+v: got %+v, %v", test, result, err)
		}
		if sent := uploads() - before; sent < test.uploads || test.uploads == 0 && sent > 0 {
			t.Errorf("%+v: %d uploads", test, sent)
		}
	}
}

// What passes through is kept nowhere. What breaks off is asked for once more,
// without the daemon noticing that anything failed.
func TestRelayAsksAgain(t *testing.T) {
	config, layer, manifest := parts(t)
	configDigest, layerDigest := digest.FromBytes(config), digest.FromBytes(layer)
	ways := map[string]func(*holder, context.Context, []byte, digest.Digest, int) error{"stream": (*holder).stream, "whole": (*holder).whole}
	for name, upload := range ways {
		for _, cut := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " cut:", cut), func(t *testing.T) {
				server := registrytest.Start(t, registrytest.Config{})
				if cut {
					server.Fault(registrytest.Rule{Path: "/blobs/uploads/", Skip: 1, Times: 1, Action: registrytest.Cut{After: 11 << 19}})
				} else {
					t.Setenv("TMPDIR", "/nowhere") // nothing can be kept
				}
				c, err := remote.New(registry.RegistryConfig{URL: server.URL, Auth: registry.AuthConfig{Token: registrytest.Token}, CAFiles: []string{server.CAFile}},
					&remote.Options{Backoff: func(int) time.Duration { return time.Nanosecond }})
				if err != nil {
					t.Fatal(err)
				}
				pushes := 0
				var result registry.Result
				err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &result, Via: func(ctx context.Context, to registry.Loopback) error {
					h := &holder{to, to.Password}
					if to.WasReached() {
						t.Error("a push counts as begun by the one before")
					}
					_, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusNotFound)
					err = errors.Join(err, upload(h, ctx, layer, layerDigest, http.StatusCreated), h.whole(ctx, config, configDigest, http.StatusCreated))
					_, errHead := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK)
					_, errPut := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
					pushes++
					return errors.Join(err, errHead, errPut)
				}})
				if err != nil {
					t.Fatal(err)
				}
				if want := map[bool]int{false: 1, true: 2}[cut]; pushes != want {
					t.Errorf("the daemon pushed %d times, want %d", pushes, want)
				}
				if cut != (result.Retries > 0) {
					t.Errorf("got %d retries", result.Retries)
				}
				if got, found := server.HasBlob("alice/app", layerDigest); !found || got != int64(len(layer)) {
					t.Errorf("the registry has %d bytes of the layer, want %d", got, len(layer))
				}
				if data, _, _ := server.Manifest("alice/app", "1"); !bytes.Equal(data, manifest) {
					t.Errorf("got the manifest %q", data)
				}
			})
		}
	}
}

// A holder that is not to note where it pushed to gets a refusal when the image
// has arrived, not before.
func TestRelayRefuses(t *testing.T) {
	config, layer, manifest := parts(t)
	var result registry.Result
	err := relayClient(t).Push(t.Context(), "alice/app:1", registry.PushOptions{Result: &result, Via: func(ctx context.Context, to registry.Loopback) error {
		to.Refuse()
		h := &holder{to, to.Password}
		err := errors.Join(h.whole(ctx, layer, digest.FromBytes(layer), http.StatusCreated), h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated))
		if to.Sent() {
			t.Error("the image was sent without its manifest")
		}
		_, errPut := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusConflict)
		if !to.Sent() {
			t.Error("the image was not sent")
		}
		return errors.Join(err, errPut)
	}})
	if err != nil || result.Digest != digest.FromBytes(manifest) {
		t.Errorf("got %v, %+v", err, result)
	}
}

// Nobody else may use the port while a push lasts.
func TestRelayWantsItsPassword(t *testing.T) {
	_, _, manifest := parts(t)
	err := relayClient(t).Push(t.Context(), "alice/app:1", registry.PushOptions{
		Via: func(ctx context.Context, to registry.Loopback) error {
			stranger := &holder{to, "guess"}
			for _, path := range []string{"/v2/", "manifests/push"} {
				if _, err := stranger.do(ctx, http.MethodPut, path, manifest, http.StatusUnauthorized); err != nil {
					t.Error(err)
				}
			}
			return nil
		},
	})
	if !errors.Is(err, registry.ErrNoSource) {
		t.Errorf("got %v, want %v", err, registry.ErrNoSource)
	}
}

// What the registry refuses ends the holder's push too, and is the error; what
// fails elsewhere leads to the export.
func TestRelayFailures(t *testing.T) {
	_, layer, _ := parts(t)
	err := relayClient(t).Push(t.Context(), "nobody/app:1", registry.PushOptions{
		Via: func(ctx context.Context, to registry.Loopback) error {
			_ = (&holder{to, to.Password}).stream(ctx, layer, digest.FromBytes(layer), http.StatusCreated)
			<-ctx.Done()
			return ctx.Err()
		},
	})
	if !errors.Is(err, registry.ErrOwnerUnknown) {
		t.Errorf("got %v, want %v", err, registry.ErrOwnerUnknown)
	}

	server := registrytest.Start(t, registrytest.Config{})
	archive, _ := saved(t, true, pack(t, entry{"file", noise(t, 3, 1000)}))
	c, err := remote.New(registry.RegistryConfig{URL: server.URL, Auth: registry.AuthConfig{Token: registrytest.Token}, CAFiles: []string{server.CAFile}},
		&remote.Options{Save: save(archive)})
	if err != nil {
		t.Fatal(err)
	}
	var notes []string
	for _, via := range []func(context.Context, *holder) error{
		func(context.Context, *holder) error { return errors.New("connection refused") },
		func(ctx context.Context, h *holder) error {
			return h.whole(ctx, layer, digest.FromBytes(layer), http.StatusCreated)
		},
	} {
		var result registry.Result
		if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{
			Via:      func(ctx context.Context, to registry.Loopback) error { return via(ctx, &holder{to, to.Password}) },
			Progress: func(e registry.Event) { notes = append(notes, e.Note) },
			Result:   &result,
		}); err != nil || len(result.Blobs) != 2 {
			t.Errorf("got %v and %d blobs, want those of the export", err, len(result.Blobs))
		}
	}
	if got := strings.Join(notes, ""); strings.Contains(got, "refused") || !strings.Contains(got, "sent no manifest") {
		t.Errorf("got the notes %q, want one about the missing manifest", got)
	}
}

func TestParseLeftover(t *testing.T) {
	id := strings.Repeat("a", 32)
	for name, want := range map[string]bool{
		"127.0.0.1:4000/docker-gitea-" + id + ":push":   true,
		"127.0.0.1:4000/docker-gitea-" + id + ":latest": false,
		"127.0.0.1:4000/docker-gitea-short:push":        false,
		"127.0.0.1:4000/app:push":                       false,
		"example.com:4000/docker-gitea-" + id + ":push": false,
		"docker-gitea-" + id + ":push":                  false,
	} {
		if left, got := registry.ParseLeftover(name); got != want || left.Here {
			t.Errorf("%s: got %+v, %t", name, left, got)
		}
	}
}

// until holds requests back until a channel is closed.
type until struct {
	closed <-chan struct{}
	base   http.RoundTripper
}

func (u until) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-u.closed:
		return u.base.RoundTrip(req)
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// The holder of a new image begins its push before the registry has answered,
// and waits for it then.
func TestRelayIsAnticipated(t *testing.T) {
	srv := registrytest.Start(t, registrytest.Config{})
	transport, err := transport.New(srv.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	begun := make(chan struct{})
	c, err := remote.New(srv.Config(), &remote.Options{Transport: until{begun, transport}})
	if err != nil {
		t.Fatal(err)
	}
	config, layer, manifest := parts(t)
	err = c.Push(t.Context(), "alice/app:1", registry.PushOptions{
		ImageID: digest.FromBytes(config), Timeout: time.Minute,
		Via: func(ctx context.Context, to registry.Loopback) error {
			h := &holder{to, to.Password}
			_, err := h.do(ctx, http.MethodGet, "/v2/", nil, http.StatusOK)
			close(begun)
			if err = errors.Join(err,
				h.whole(ctx, layer, digest.FromBytes(layer), http.StatusCreated),
				h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated)); err != nil {
				return err
			}
			_, err = h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
			return err
		},
	})
	if err != nil {
		t.Error(err)
	}
}

// A push that the holder began is cancelled, and waited for, where the registry
// turns out to have the image, or to let nobody in.
func TestRelayThatIsNotNeeded(t *testing.T) {
	srv := registrytest.Start(t, registrytest.Config{})
	archive, id := layout(t, noise(t, 1, 100))
	process(t, srv, "", archive, "alice/app:1")
	for _, tc := range []struct {
		name  string
		token string
		want  error
	}{
		{"there already", registrytest.Token, nil},
		{"no login", "wrong", registry.ErrUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := srv.Config()
			config.Auth.Token = tc.token
			c, err := remote.New(config, nil)
			if err != nil {
				t.Fatal(err)
			}
			began, ended := make(chan struct{}), false
			err = c.Push(t.Context(), "alice/app:2", registry.PushOptions{
				ImageID: id, Timeout: time.Minute,
				Via: func(ctx context.Context, _ registry.Loopback) error {
					close(began)
					<-ctx.Done()
					ended = true
					return ctx.Err()
				},
			})
			<-began
			if !errors.Is(err, tc.want) || !ended {
				t.Errorf("got %v, want %v; the holder's push has ended: %v", err, tc.want, ended)
			}
		})
	}
}

// Where an earlier push left the image, nobody begins anything.
func TestRelayOfAKnownImage(t *testing.T) {
	srv := registrytest.Start(t, registrytest.Config{})
	cache := t.TempDir()
	archive, id := saved(t, true, pack(t, entry{"file", noise(t, 1, 100)}))
	for _, tc := range []struct {
		name, reference string
		want            int
	}{
		{"the first push", "alice/app:1", 1},
		{"nothing changed", "alice/app:1", 0},
		{"another tag", "alice/app:2", 0},
	} {
		c := clientOf(t, srv, remote.Options{CacheDir: cache, Save: save(archive)})
		begun := 0
		via := func(context.Context, registry.Loopback) error { begun++; return errors.New("not now") }
		if err := c.Push(t.Context(), tc.reference, registry.PushOptions{ImageID: id, Via: via}); err != nil {
			t.Fatal(err)
		}
		if begun != tc.want {
			t.Errorf("%s: began %d times, want %d", tc.name, begun, tc.want)
		}
	}
}

// A blob that the registry had when it was asked, and has lost when the manifest
// comes, since another push took away the last tag that led to it, is pushed after
// all: the holder pushes once more, and no more than that.
func TestRelayLosesABlobMeanwhile(t *testing.T) {
	t.Parallel()
	config, layer, manifest := parts(t)
	layerDigest := digest.FromBytes(layer)
	child := describe(ocispec.MediaTypeImageManifest, manifest)
	child.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	index := encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{child}})
	for name, tc := range map[string]struct {
		times   int
		ofIndex bool
	}{
		"of an image, once":                       {1, false},
		"of an image, whenever it is pushed":      {9, false},
		"of a child of an index, once":            {1, true},
		"of a child of an index, whenever pushed": {9, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{})
			whole, _ := layout(t, layer)
			if err := clientOf(t, srv, remote.Options{Save: save(whole)}).Push(t.Context(), "alice/app:other", registry.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			srv.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/manifests/", Times: tc.times, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				gone := req.Clone(context.WithoutCancel(req.Context()))
				gone.Method, gone.Body = http.MethodDelete, http.NoBody
				for _, path := range []string{"/v2/alice/app/blobs/" + layerDigest.String(), "/v2/alice/app/manifests/other"} {
					gone.URL.Path = path
					next.ServeHTTP(httptest.NewRecorder(), gone)
				}
				next.ServeHTTP(w, req)
			})})
			pushes := 0
			err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Via: func(ctx context.Context, to registry.Loopback) error {
				pushes++
				h := &holder{to, to.Password}
				if _, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK); err != nil {
					if err := h.whole(ctx, layer, layerDigest, http.StatusCreated); err != nil {
						return err
					}
				}
				if err := h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated); err != nil {
					return err
				}
				root := manifest
				if tc.ofIndex {
					root = index
					if _, err := h.do(ctx, http.MethodPut, "manifests/"+child.Digest.String(), manifest, http.StatusCreated); err != nil {
						return err
					}
				}
				_, err := h.do(ctx, http.MethodPut, "manifests/push", root, http.StatusCreated)
				return err
			}})
			if tc.times == 1 && err != nil || tc.times > 1 && !errors.Is(err, registry.ErrNoSource) || pushes != 2 {
				t.Errorf("got %v after %d pushes", err, pushes)
			}
			if _, there := srv.HasBlob("alice/app", layerDigest); there != (tc.times == 1) {
				t.Errorf("the registry has the layer: %v", there)
			}
		})
	}
}

// A blob that was taken from another repository, and has gone when the manifest comes,
// is taken from there once more, or sent: that it was there is no answer any more.
func TestMountIsLostMeanwhile(t *testing.T) {
	t.Parallel()
	config, layer, manifest := parts(t)
	layerDigest := digest.FromBytes(layer)
	for _, relayed := range []bool{true, false} {
		for _, mounts := range []int{1, 9} { // how many times the other repository has it
			t.Run(fmt.Sprintf("relayed: %t, mounts: %d", relayed, mounts), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
				c := clientOf(t, srv, remote.Options{CacheDir: t.TempDir()})
				dir := writeLayout(t, layer)
				open := func() *image.Source {
					source, err := image.Open(dir, nil)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = source.Close() })
					return source
				}
				if err := c.Push(t.Context(), "alice/base:1", registry.PushOptions{Source: open()}); err != nil {
					t.Fatal(err)
				}
				opts := registry.PushOptions{Source: open()}
				srv.Fault(registrytest.Rule{Match: isMountFrom, Skip: mounts, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					req.URL.RawQuery = ""
					next.ServeHTTP(w, req)
				})})
				srv.Fault(registrytest.Rule{Method: http.MethodPut, Path: "/app/manifests/", Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					gone := req.Clone(context.WithoutCancel(req.Context()))
					gone.Method, gone.Body, gone.URL.Path = http.MethodDelete, http.NoBody, "/v2/alice/app/blobs/"+layerDigest.String()
					next.ServeHTTP(httptest.NewRecorder(), gone)
					next.ServeHTTP(w, req)
				})})
				sent := 0
				if relayed {
					opts.Source, opts.Via = nil, func(ctx context.Context, to registry.Loopback) error {
						h := &holder{to, to.Password}
						if _, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK); err != nil {
							sent++
							if err := h.whole(ctx, layer, layerDigest, http.StatusCreated); err != nil {
								return err
							}
						}
						if err := h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated); err != nil {
							return err
						}
						_, err := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
						return err
					}
				}
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
					t.Fatal(err)
				}
				if _, there := srv.HasBlob("alice/app", layerDigest); !there {
					t.Error("the registry lacks the layer")
				}
				if want := map[bool]int{true: 1}[relayed && mounts == 1]; sent != want {
					t.Errorf("the holder sent the layer %d times, want %d", sent, want)
				}
			})
		}
	}
}

// A layer that images have in common is taken from the repository of the first, by one
// request: the holder hears that it is there, and its size, and does not send it.
func TestSharedLayerOfHolders(t *testing.T) {
	t.Parallel()
	config, layer, manifest := parts(t)
	layerDigest := digest.FromBytes(layer)
	srv := registrytest.Start(t, registrytest.Config{})
	c := clientOf(t, srv, remote.Options{CacheDir: t.TempDir(), Together: true})
	for _, name := range []string{"one", "two"} {
		srv.Registry.ResetLog()
		err := c.Push(t.Context(), "alice/"+name+":1", registry.PushOptions{Via: func(ctx context.Context, to registry.Loopback) error {
			h := &holder{to, to.Password}
			if name == "one" {
				if err := errors.Join(h.whole(ctx, layer, layerDigest, http.StatusCreated), h.whole(ctx, config, digest.FromBytes(config), http.StatusCreated)); err != nil {
					return err
				}
			}
			header, err := h.do(ctx, http.MethodHead, "blobs/"+layerDigest.String(), nil, http.StatusOK)
			if got := header.Get("Content-Length"); err == nil && got != fmt.Sprint(len(layer)) {
				err = fmt.Errorf("size %s, want %d", got, len(layer))
			}
			_, errConfig := h.do(ctx, http.MethodHead, "blobs/"+digest.FromBytes(config).String(), nil, http.StatusOK)
			_, errPut := h.do(ctx, http.MethodPut, "manifests/push", manifest, http.StatusCreated)
			return errors.Join(err, errConfig, errPut)
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if asked := srv.Registry.Requests(http.MethodHead, "/blobs/"); len(asked) > 0 {
		t.Errorf("the registry was asked %v", asked)
	}
	if mounts := srv.Registry.Requests(http.MethodPost, "/alice/two/"); len(mounts) != 2 {
		t.Errorf("got %v, want a mount of the layer and one of the config", mounts)
	}
}
