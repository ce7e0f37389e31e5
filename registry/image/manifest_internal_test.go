package image

import (
	"slices"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// What every layer is decides the type of the manifest, in whatever order they
// stand, and each is called by the words of that manifest.
func TestBuildManifestTypes(t *testing.T) {
	const (
		dockerGzip    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
		dockerForeign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
		ociForeign    = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	)
	for name, test := range map[string]struct {
		layers, want []string
		docker       bool
	}{
		"none":          {nil, nil, true},
		"gzip":          {[]string{layerTypes[Gzip]}, []string{dockerGzip}, true},
		"zstd":          {[]string{layerTypes[Zstd]}, []string{layerTypes[Zstd]}, false},
		"raw":           {[]string{layerTypes[None]}, []string{layerTypes[None]}, false},
		"gzip, foreign": {[]string{layerTypes[Gzip], dockerForeign}, []string{dockerGzip, dockerForeign}, true},
		"foreign, zstd": {[]string{dockerForeign, layerTypes[Zstd]}, []string{ociForeign, layerTypes[Zstd]}, false},
		"zstd, foreign": {[]string{layerTypes[Zstd], dockerForeign}, []string{layerTypes[Zstd], ociForeign}, false},
		"OCI's foreign": {[]string{layerTypes[Gzip], ociForeign}, []string{dockerGzip, dockerForeign}, true},
	} {
		t.Run(name, func(t *testing.T) {
			desc := ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}
			var layers []ocispec.Descriptor
			for _, mediaType := range test.layers {
				layers = append(layers, ocispec.Descriptor{MediaType: mediaType, Digest: desc.Digest, Size: 1, URLs: []string{"https://example.com/x"}})
			}
			m, err := buildManifest(desc, layers)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, layer := range m.References[1:] {
				got = append(got, layer.MediaType)
			}
			if !slices.Equal(got, test.want) || (m.Descriptor.MediaType == mediaTypeDockerManifest) != test.docker {
				t.Errorf("got %s of %q, want %q", m.Descriptor.MediaType, got, test.want)
			}
		})
	}
}
