package remote_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// classic pushes as the daemon of a classic store does: it asks for a layer by
// the digest that it had the last time, else compresses and sends it, and takes
// the digest of what it could send. It returns which layers it sent.
type classic struct {
	layers  [][]byte // compressed
	digests map[int]digest.Digest
	config  []byte
}

func (c *classic) push(ctx context.Context, h *holder) (sent []int, err error) {
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	manifest.Config = ocispec.Descriptor{Digest: digest.FromBytes(c.config), Size: int64(len(c.config))}
	for i, layer := range c.layers {
		known, asked := c.digests[i]
		if asked {
			if _, err := h.do(ctx, http.MethodHead, "blobs/"+known.String(), nil, http.StatusOK); err != nil {
				asked = false
			}
		}
		if !asked {
			// A layer that is taken whole has its own digest; of one that is
			// broken off, the daemon has read one that nobody can foresee.
			known = digest.FromBytes(layer)
			if err := h.stream(ctx, layer, known, http.StatusCreated); err != nil {
				return nil, err
			}
			if _, err := h.do(ctx, http.MethodHead, "blobs/"+known.String(), nil, http.StatusOK); err != nil {
				return nil, err
			}
			c.digests[i] = known
			sent = append(sent, i)
		}
		manifest.Layers = append(manifest.Layers, ocispec.Descriptor{MediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", Digest: known, Size: int64(len(layer))})
	}
	config := digest.FromBytes(c.config)
	if _, err := h.do(ctx, http.MethodHead, "blobs/"+config.String(), nil, http.StatusOK); err != nil {
		if err := h.stream(ctx, c.config, config, http.StatusCreated); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	_, err = h.do(ctx, http.MethodPut, "manifests/push", data, http.StatusCreated)
	return sent, err
}

// An image whose export was pushed has one layer more. The daemon, which has
// pushed none of it, pushes it: nothing but the new layer is sent.
func TestStandIns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		size   int        // of the layer that the image has more
		alike  bool       // it begins as the base does
		pushes [3][][]int // which layers the daemon sends, in each push of each round
	}{
		"a small layer":                  {1000, false, [3][][]int{{{0, 1}}, {{2}}, {{0, 1, 2, 3}}}},
		"a large layer":                  {1 << 20, false, [3][][]int{{{0, 1}}, {{2}}, {{0, 1, 2, 3}}}},
		"a layer that begins as another": {1000, true, [3][][]int{{{0, 1}, {1}}, {{2}, {2}}, {{0, 1, 2, 3}, {3}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			base := pack(t, entry{"base", noise(t, 1, 9<<20)})
			archive, _ := saved(t, false, base)
			c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
			if err := c.Push(t.Context(), "alice/app:1", registry.PushOptions{Image: "app:1"}); err != nil {
				t.Fatal(err)
			}
			raw := [][]byte{base}
			daemon := &classic{digests: map[int]digest.Digest{}}
			for round := range 3 {
				if round == 2 { // another daemon, which has pushed nothing
					clear(daemon.digests)
				}
				more := []entry{{"more", noise(t, byte(2+round), test.size)}}
				if test.alike {
					more = append([]entry{{"base", noise(t, 1, 9<<20)}}, more...)
				}
				raw = append(raw, pack(t, more...))
				var diffIDs []digest.Digest
				daemon.layers = nil
				for _, layer := range raw {
					diffIDs = append(diffIDs, digest.FromBytes(layer))
					daemon.layers = append(daemon.layers, gzipped(t, layer))
				}
				daemon.config = encode(t, ocispec.Image{RootFS: ocispec.RootFS{Type: "layers", DiffIDs: diffIDs}})
				var pushes [][]int
				srv.Registry.ResetLog()
				var result registry.Result
				ids := map[string]string{}
				opts := registry.PushOptions{
					ImageID: digest.FromBytes(daemon.config), DiffIDs: diffIDs, Result: &result,
					Progress: func(e registry.Event) {
						if e.Note != "" {
							t.Error(e.Note)
						}
						if id, known := ids[e.Name]; known && id != e.ID {
							t.Errorf("%s is now called %s", id, e.ID)
						}
						ids[e.Name] = e.ID
					},
					Via: func(ctx context.Context, to registry.Loopback) error {
						h := &holder{to, to.Password}
						if _, err := h.do(ctx, http.MethodPost, "blobs/uploads/", nil, http.StatusAccepted); err != nil {
							return err
						}
						// It is known by now what the daemon need not compress.
						if asked := len(srv.Registry.Requests(http.MethodHead, "")); len(pushes) == 0 && asked != []int{1, 0, 0}[round] {
							t.Errorf("round %d: %d requests before the daemon begins", round, asked)
						}
						sent, err := daemon.push(ctx, h)
						pushes = append(pushes, sent)
						return err
					},
				}
				if err := c.Push(t.Context(), "alice/app:2", opts); err != nil {
					t.Fatal(err)
				}
				if size := len(raw[round+1]); result.BytesSent > int64(size)+10_000 {
					t.Errorf("round %d: %d bytes were sent, for a layer of %d", round, result.BytesSent, size)
				}
				asked := map[string]bool{}
				for _, req := range srv.Registry.Requests(http.MethodHead, "") {
					if asked[req.Path] && round < 2 {
						t.Errorf("round %d: asked again for %s", round, req.Path)
					}
					asked[req.Path] = true
				}
				data, _, _ := srv.Registry.Manifest("alice/app", "2")
				if digest.FromBytes(data) != result.Digest || len(result.Blobs) != len(raw)+1 {
					t.Errorf("round %d: got %s, and %+v", round, digest.FromBytes(data), result)
				}
				if want := test.pushes[round]; !slices.EqualFunc(pushes, want, slices.Equal) {
					t.Errorf("round %d: with everything but one layer known, the daemon sent %v, not %v", round, pushes, want)
				}
			}
		})
	}
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
