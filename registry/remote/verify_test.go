package remote_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func blobEntry(data []byte) entry {
	return entry{"blobs/sha256/" + digest.FromBytes(data).Encoded(), data}
}

// multi is what a containerd store exports of an index of two platforms, and
// everything in it, the index first, the first child second.
func multi(t *testing.T) (archive []byte, content []ocispec.Descriptor) {
	t.Helper()
	var entries []entry
	var children []ocispec.Descriptor
	for i, arch := range []string{"amd64", "arm64"} {
		raw := pack(t, entry{"file", noise(t, byte(i+1), 1000)})
		layer := gzipped(t, raw)
		config := encode(t, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(raw)}}})
		m := encode(t, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: describe(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{describe(ocispec.MediaTypeImageLayerGzip, layer)},
		})
		d := describe(ocispec.MediaTypeImageManifest, m)
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		children = append(children, d)
		content = append(content, d, describe(ocispec.MediaTypeImageConfig, config), describe(ocispec.MediaTypeImageLayerGzip, layer))
		entries = append(entries, blobEntry(layer), blobEntry(config), blobEntry(m))
	}
	index := encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children})
	d := describe(ocispec.MediaTypeImageIndex, index)
	content = append([]ocispec.Descriptor{d}, content...)
	d.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/app:1"}
	entries = append(entries, blobEntry(index),
		entry{"index.json", encode(t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{d}})},
		entry{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)})
	return pack(t, entries...), content
}

// lose deletes a blob or a manifest of alice/app behind everybody's back.
func lose(t *testing.T, c *remote.Client, d ocispec.Descriptor) {
	t.Helper()
	kind := "blobs"
	if strings.Contains(d.MediaType, "manifest.v") {
		kind = "manifests"
	}
	resp, err := c.Ask(t.Context(), http.MethodDelete, "/v2/alice/app/"+kind+"/"+d.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s: %s", d.Digest, resp.Status)
	}
}

// lacking is what alice/app lacks of an image.
func lacking(srv *registrytest.Server, content []ocispec.Descriptor) (lacking []string) {
	for _, d := range content {
		if _, ok := srv.Registry.HasBlob("alice/app", d.Digest); !ok {
			lacking = append(lacking, d.MediaType+" "+d.Digest.String())
		}
	}
	return lacking
}

// Whatever is lost behind a tag: a push that does not look says so in one
// request, and one that verifies sends it.
func TestVerifyRepairsWhatIsLost(t *testing.T) {
	t.Parallel()
	_, content := multi(t)
	for lost := 1; lost < len(content); lost++ {
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprint(content[lost].MediaType, lost, cached), func(t *testing.T) {
				t.Parallel()
				srv := registrytest.Start(t, registrytest.Config{})
				archive, _ := multi(t)
				c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
				var result registry.Result
				opts := registry.PushOptions{ImageID: content[0].Digest, Result: &result}
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil || result.Unverified {
					t.Fatal(err, result.Unverified)
				}
				lose(t, c, content[lost])
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil || !result.Unverified || result.Requests != 1 {
					t.Errorf("without a look: %v, unverified %v in %d requests, want so in one", err, result.Unverified, result.Requests)
				}
				if !cached {
					c = clientOf(t, srv, remote.Options{Save: save(archive)})
				}
				opts.Verify = true
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil || result.Unverified || result.Digest != content[0].Digest {
					t.Errorf("verified: %v, %+v", err, result)
				}
				if lacking := lacking(srv, content); len(lacking) > 0 {
					t.Errorf("the registry lacks %q", lacking)
				}
				// What is whole is looked at, and nothing is sent.
				srv.Registry.ResetLog()
				if err := c.Push(t.Context(), "alice/app:1", opts); err != nil || result.Unverified || result.BytesSent > 0 {
					t.Errorf("again: %v, %+v", err, result)
				}
			})
		}
	}
}

// A new tag for an index does not lead to children whose blobs are gone,
// though the registry takes the index.
func TestNewTagOfAnIndexIsWhole(t *testing.T) {
	t.Parallel()
	archive, content := multi(t)
	for lost := 1; lost < len(content); lost++ {
		t.Run(fmt.Sprint(content[lost].MediaType, lost), func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
			var result registry.Result
			opts := registry.PushOptions{ImageID: content[0].Digest, Result: &result}
			if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
				t.Fatal(err)
			}
			lose(t, c, content[lost])
			if err := c.Push(t.Context(), "alice/app:2", opts); err != nil || result.Unverified || result.Digest != content[0].Digest {
				t.Errorf("%v, %+v", err, result)
			}
			if lacking := lacking(srv, content); len(lacking) > 0 {
				t.Errorf("the registry lacks %q", lacking)
			}
		})
	}
}

// What a push believes to exist is not what it verified.
func TestVerifyOfOneImage(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, id := saved(t, true, layerOf(t, 1000))
	c := clientOf(t, srv, remote.Options{Save: save(archive), CacheDir: t.TempDir()})
	var result registry.Result
	opts := registry.PushOptions{ImageID: id, Result: &result, Verify: true}
	for range 2 {
		if err := c.Push(t.Context(), "alice/app:1", opts); err != nil {
			t.Fatal(err)
		}
	}
	data, mediaType, _ := srv.Registry.Manifest("alice/app", "1")
	m, err := image.ParseManifest(mediaType, data)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.References {
		lose(t, c, d)
		if err := c.Push(t.Context(), "alice/app:1", opts); err != nil || !slices.ContainsFunc(result.Blobs, func(b registry.BlobResult) bool {
			return b.Digest == d.Digest && b.Status == registry.StatusPushed
		}) {
			t.Errorf("lost %s: %v, %+v", d.Digest, err, result.Blobs)
		}
	}
	if lacking := lacking(srv, m.References); len(lacking) > 0 {
		t.Errorf("the registry lacks %q", lacking)
	}
}
