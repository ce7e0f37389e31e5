package image

import (
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Layer is a layer of an image as a manifest describes it.
type Layer struct {
	ocispec.Descriptor
	// DiffID is the digest of its raw bytes, by the config.
	DiffID digest.Digest
	// Algorithm is [Gzip], [Zstd] or [None], by its media type; empty for
	// anything that is no layer of ours: a foreign layer, an attestation.
	Algorithm string
}

// Layers pairs the layers of a manifest with the diff IDs in its config, whose
// bytes are given. Of an index, of other bytes than those of the config, and
// where the numbers differ, nothing is said.
//
// Errors: [*Error].
func (m Manifest) Layers(configData []byte) ([]Layer, error) {
	const name = "manifest"
	b, err := parseBody(name, m.Descriptor.MediaType, m.Data)
	if err != nil {
		return nil, err
	}
	if b.Config == nil || kindOf(b.MediaType) != kindManifest {
		return nil, fault(ErrInvalid, name, "has no config")
	}
	if got := b.Config.Digest.Algorithm().FromBytes(configData); got != b.Config.Digest {
		return nil, fault(ErrDigest, name, "names the config %s, not %s", b.Config.Digest, got)
	}
	c, err := parseConfig("config", configData)
	if err != nil {
		return nil, err
	}
	if len(b.Layers) != len(c.RootFS.DiffIDs) {
		return nil, fault(ErrInvalid, name, "names %d layers, but its config has %d", len(b.Layers), len(c.RootFS.DiffIDs))
	}
	var layers []Layer
	for i, desc := range b.Layers {
		layers = append(layers, Layer{desc, c.RootFS.DiffIDs[i], algorithmOf(desc)})
	}
	return layers, nil
}

// HasConfig reports whether a manifest is that of an image with this config,
// and all of its layers have the form that c gives them. A level does not show.
func (m Manifest) HasConfig(config digest.Digest, c Compression) bool {
	b, err := parseBody("manifest", m.Descriptor.MediaType, m.Data)
	if err != nil || b.Config == nil || b.Config.Digest != config || kindOf(b.MediaType) != kindManifest {
		return false
	}
	for _, desc := range b.Layers {
		if len(desc.URLs) == 0 && algorithmOf(desc) != c.algorithm() {
			return false
		}
	}
	return true
}

// algorithmOf is how a layer is compressed. A layer that is kept elsewhere has
// its bytes from there, and stands for nothing here.
func algorithmOf(layer ocispec.Descriptor) string {
	switch {
	case len(layer.URLs) > 0:
		return ""
	case layer.MediaType == mediaTypeDockerLayerGzip:
		return Gzip
	case layer.MediaType == mediaTypeDockerLayer:
		return None
	}
	for algorithm, mediaType := range layerTypes {
		if mediaType == layer.MediaType {
			return algorithm
		}
	}
	return ""
}
