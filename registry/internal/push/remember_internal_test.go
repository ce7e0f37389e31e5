package push

import (
	"encoding/json"
	"testing"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// parsed is a manifest of this document.
func parsed(t *testing.T, mediaType string, document any) image.Manifest {
	t.Helper()
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.ParseManifest(mediaType, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMemorable(t *testing.T) {
	t.Parallel()
	config := digest.FromString("config")
	root := parsed(t, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: config, Size: 6},
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString("layer"), Size: 5}},
	})
	index := parsed(t, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{root.Descriptor},
	})
	diffIDs := []digest.Digest{digest.FromString("raw")}
	for _, tc := range []struct {
		name string
		opts registry.PushOptions
		f    finding
		want bool
	}{
		{"the ID of the manifest", registry.PushOptions{ImageID: root.Descriptor.Digest}, finding{subject: subjectImage, root: root}, true},
		{"the ID of the manifest of a platform", registry.PushOptions{ImageID: root.Descriptor.Digest, Platform: "linux/amd64"}, finding{subject: subjectImage, root: root}, true},
		{"the ID of the index", registry.PushOptions{ImageID: index.Descriptor.Digest}, finding{subject: subjectImage, root: index}, true},
		{"the ID of the index, of which one platform is wanted", registry.PushOptions{ImageID: index.Descriptor.Digest, Platform: "linux/amd64"}, finding{subject: subjectImage, root: index}, false},
		{"the ID of the index, of which one image was pushed", registry.PushOptions{ImageID: index.Descriptor.Digest}, finding{subject: subjectImage, root: root}, false},
		{"the ID of the config", registry.PushOptions{ImageID: config}, finding{subject: subjectImage, root: root}, true},
		{"the ID of the config, and another form", registry.PushOptions{ImageID: config}, finding{subject: subjectImage, root: root, form: image.Compression{Algorithm: image.Zstd}}, false},
		{"the ID of another image", registry.PushOptions{ImageID: digest.FromString("other")}, finding{subject: subjectImage, root: root}, false},
		{"no ID", registry.PushOptions{}, finding{subject: subjectImage, root: root}, false},
		{"a name for an ID", registry.PushOptions{ImageID: "app:1"}, finding{subject: subjectImage, root: root}, false},
		{"a dry run", registry.PushOptions{ImageID: root.Descriptor.Digest, DryRun: true}, finding{subject: subjectImage, root: root}, false},

		{"the layers of a classic store", registry.PushOptions{ImageID: config, DiffIDs: diffIDs}, finding{subject: subjectDaemons, root: root}, true},
		{"the layers of a store of manifests", registry.PushOptions{ImageID: root.Descriptor.Digest, DiffIDs: diffIDs}, finding{subject: subjectDaemons, root: root}, false},
		{"layers whose diff IDs nobody gave", registry.PushOptions{ImageID: config}, finding{subject: subjectDaemons, root: root}, false},

		{"a layer that was sent", registry.PushOptions{}, finding{subject: subjectThere, status: registry.StatusPushed}, true},
		{"a layer that was there", registry.PushOptions{DryRun: true}, finding{subject: subjectThere, status: registry.StatusExists}, true},
		{"a layer that would be sent", registry.PushOptions{DryRun: true}, finding{subject: subjectThere, status: registry.StatusSkipped}, false},
		{"the blobs of what was pushed", registry.PushOptions{}, finding{subject: subjectHolder}, true},
		{"the blobs of what would be pushed", registry.PushOptions{DryRun: true}, finding{subject: subjectHolder}, false},
		{"something else", registry.PushOptions{}, finding{subject: "else"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			why, got := (&push{opts: tc.opts}).memorable(tc.f)
			if got != tc.want || why == "" {
				t.Errorf("got %v (%s), want %v", got, why, tc.want)
			}
		})
	}
	if _, ok := (&push{unverified: true}).memorable(finding{subject: subjectHolder}); ok {
		t.Error("where nobody looked, blobs are remembered")
	}
}
