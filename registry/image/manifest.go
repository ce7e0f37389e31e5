package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's media types (image manifest version 2, schema 2).
const (
	mediaTypeDockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList      = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaTypeDockerConfig    = "application/vnd.docker.container.image.v1+json"
	mediaTypeDockerLayer     = "application/vnd.docker.image.rootfs.diff.tar"
	mediaTypeDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	// Layers that are found elsewhere, those of Windows.
	mediaTypeDockerForeign     = "application/vnd.docker.image.rootfs.foreign.diff.tar"
	mediaTypeDockerForeignGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

	// What BuildKit's attestations are, and what is in them.
	typeAttestation = "application/vnd.docker.attestation.manifest.v1+json"
	mediaTypeInToto = "application/vnd.in-toto+json"

	// mediaTypeArtifact was in the OCI image specification until its 1.1.
	mediaTypeArtifact = "application/vnd.oci.artifact.manifest.v1+json"
)

// kind is what a descriptor is to us, by its media type.
type kind int

const (
	kindBlob kind = iota
	kindManifest
	kindIndex
)

func kindOf(mediaType string) kind {
	switch mediaType {
	case ocispec.MediaTypeImageIndex, mediaTypeDockerList:
		return kindIndex
	case ocispec.MediaTypeImageManifest, mediaTypeDockerManifest, mediaTypeArtifact:
		return kindManifest
	}
	return kindBlob
}

// isRawLayer reports the media types of a layer that is a plain tar.
func isRawLayer(mediaType string) bool {
	switch mediaType {
	case ocispec.MediaTypeImageLayer, mediaTypeDockerLayer,
		ocispec.MediaTypeImageLayerNonDistributable: //nolint:staticcheck // old images still have them
		return true
	}
	return false
}

// IsIndex reports the media types of what names manifests and no blobs.
func IsIndex(mediaType string) bool { return kindOf(mediaType) == kindIndex }

// IsManifest reports the media types of what a registry keeps as a manifest,
// indexes among them.
func IsManifest(mediaType string) bool { return kindOf(mediaType) != kindBlob }

// isAttestation reports what BuildKit puts into an index beside an image.
func isAttestation(desc ocispec.Descriptor) bool {
	return desc.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		desc.Platform != nil && desc.Platform.OS == "unknown" && desc.Platform.Architecture == "unknown"
}

// attests is isAttestation, stricter, for what is to be left out: by what the index
// says of it, or by the manifest itself, which may be nil. Newer BuildKits
// make it an artifact: it refers to the image, and its config is empty.
func attests(desc ocispec.Descriptor, b *body) bool {
	switch {
	case desc.Annotations["vnd.docker.reference.type"] == "attestation-manifest", desc.ArtifactType == typeAttestation:
		return true
	case b == nil || b.ArtifactType == typeAttestation:
		return b != nil
	case b.Subject == nil || b.Config == nil || b.Config.MediaType != ocispec.MediaTypeEmptyJSON:
		return false
	}
	return len(b.Layers) > 0 && !slices.ContainsFunc(b.Layers, func(d ocispec.Descriptor) bool { return d.MediaType != mediaTypeInToto })
}

// IsAttestation reports what BuildKit puts into an index beside an image; desc is
// its descriptor there.
func (m Manifest) IsAttestation(desc ocispec.Descriptor) bool {
	b, err := parseBody("manifest", m.Descriptor.MediaType, m.Data)
	return err == nil && attests(desc, b)
}

// body is what is of interest in a manifest or an index of any kind.
type body struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Subject       *ocispec.Descriptor  `json:"subject"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Blobs         []ocispec.Descriptor `json:"blobs"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
}

// parseBody reads a manifest or an index, of the media type that its
// descriptor gives. A document that different readers could take for different
// things is refused (CVE-2021-41190).
func parseBody(name, mediaType string, data []byte) (*body, error) {
	var b body
	if err := decode(name, "a manifest", data, &b); err != nil {
		return nil, err
	}
	isIndex, isManifest := b.Manifests != nil, b.Config != nil || b.Layers != nil || b.Blobs != nil
	b.MediaType = cmp.Or(b.MediaType, mediaType)
	if b.MediaType == "" && isIndex {
		b.MediaType = ocispec.MediaTypeImageIndex
	} else if b.MediaType == "" {
		b.MediaType = ocispec.MediaTypeImageManifest
	}
	switch {
	case b.SchemaVersion != 2 && b.MediaType != mediaTypeArtifact:
		return nil, fault(ErrInvalid, name, "has schema version %d; only 2 is supported", b.SchemaVersion)
	case mediaType != "" && b.MediaType != mediaType:
		return nil, fault(ErrInvalid, name, "says it is %q, but is named as %q", clip(b.MediaType), clip(mediaType))
	case isIndex && isManifest:
		return nil, fault(ErrInvalid, name, "is both a manifest and an index")
	case isManifest && kindOf(b.MediaType) == kindIndex, isIndex && kindOf(b.MediaType) == kindManifest:
		return nil, fault(ErrInvalid, name, "is not the %q that it is called", clip(b.MediaType))
	}
	if !printableASCII(b.MediaType) {
		return nil, fault(ErrInvalid, name, "is of the type %q, which is no media type", clip(b.MediaType))
	}
	for _, desc := range b.references() {
		if _, err := blobName(desc.Digest, name); err != nil {
			return nil, err
		}
		if desc.Size < 0 {
			return nil, fault(ErrDigest, name, "gives %s a size of %d bytes", desc.Digest, desc.Size)
		}
		if !printableASCII(desc.MediaType) {
			return nil, fault(ErrInvalid, name, "gives %s the type %q, which is no media type", desc.Digest, clip(desc.MediaType))
		}
	}
	return &b, nil
}

// printableASCII reports whether a media type can be the value of a header,
// which the empty one is too.
func printableASCII(mediaType string) bool {
	return !strings.ContainsFunc(mediaType, func(r rune) bool { return r < ' ' || r > '~' })
}

// ParseManifest reads a manifest or an index that came from elsewhere, such as
// a registry. An empty media type means the one that the document gives.
//
// Errors: [*Error].
func ParseManifest(mediaType string, data []byte) (Manifest, error) {
	b, err := parseBody("manifest", mediaType, data)
	if err != nil {
		return Manifest{}, err
	}
	return newManifest(b, data), nil
}

// WithLayers is the manifest of the same image with its layers as they were
// sent, compressed with gzip. It is the one that an archive with those layers
// gets.
func (m Manifest) WithLayers(sent []Sent) (Manifest, error) {
	if len(m.References) != len(sent)+1 {
		return Manifest{}, fault(nil, "manifest", "names %d blobs, not %d layers and a config", len(m.References), len(sent))
	}
	var layers []ocispec.Descriptor
	for _, s := range sent {
		layers = append(layers, ocispec.Descriptor{MediaType: layerTypes[Gzip], Digest: s.Digest, Size: s.Size})
	}
	config := m.References[0]
	return buildManifest(ocispec.Descriptor{Digest: config.Digest, Size: config.Size}, layers)
}

// references are all descriptors that have to be in a registry first.
func (b *body) references() []ocispec.Descriptor {
	var refs []ocispec.Descriptor
	if b.Config != nil {
		refs = append(refs, *b.Config)
	}
	refs = append(refs, b.Layers...)
	refs = append(refs, b.Blobs...)
	return append(refs, b.Manifests...)
}

// newManifest is the manifest or index in data.
func newManifest(b *body, data []byte) Manifest {
	return Manifest{
		Descriptor: ocispec.Descriptor{MediaType: b.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))},
		Data:       data,
		References: b.references(),
	}
}

// config is what is of interest in the config of an image.
type config struct {
	ocispec.Platform
	RootFS struct {
		Type    string          `json:"type"`
		DiffIDs []digest.Digest `json:"diff_ids"`
	} `json:"rootfs"`
}

// parseConfig reads the config of an image that has no manifest yet.
func parseConfig(name string, data []byte) (*config, error) {
	var c config
	if err := decode(name, "the config of an image", data, &c); err != nil {
		return nil, err
	}
	if c.RootFS.Type != "layers" && c.RootFS.Type != "" {
		return nil, fault(ErrInvalid, name, "is not the config of an image: its rootfs is of type %q, not \"layers\"", clip(c.RootFS.Type))
	}
	for _, id := range c.RootFS.DiffIDs {
		if _, err := blobName(id, name); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

// layerTypes are the media types of the layers that we make manifests for.
var layerTypes = map[string]string{
	Gzip: ocispec.MediaTypeImageLayerGzip,
	Zstd: ocispec.MediaTypeImageLayerZstd,
	None: ocispec.MediaTypeImageLayer,
}

// dockerTypes are the layers that Docker's manifests can name, in OCI's words
// and in Docker's: compressed with gzip, or found elsewhere.
var dockerTypes = map[string]string{
	ocispec.MediaTypeImageLayerGzip:                 mediaTypeDockerLayerGzip,
	ocispec.MediaTypeImageLayerNonDistributable:     mediaTypeDockerForeign,     //nolint:staticcheck // images of Windows have them
	ocispec.MediaTypeImageLayerNonDistributableGzip: mediaTypeDockerForeignGzip, //nolint:staticcheck // likewise
}

// ociType is a layer's media type in OCI's words.
func ociType(mediaType string) string {
	for oci, docker := range dockerTypes {
		if docker == mediaType {
			return oci
		}
	}
	return mediaType
}

// buildManifest makes the manifest of an image that came without. As long as
// every layer is compressed with gzip or found elsewhere it is Docker's, which
// everything that speaks to a registry understands; zstd and no compression are
// OCI's alone.
func buildManifest(config ocispec.Descriptor, layers []ocispec.Descriptor) (Manifest, error) {
	docker := true
	for _, layer := range layers {
		docker = docker && dockerTypes[ociType(layer.MediaType)] != ""
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{}}
	m.SchemaVersion = 2
	m.Config.MediaType = ocispec.MediaTypeImageConfig
	if docker {
		m.MediaType, m.Config.MediaType = mediaTypeDockerManifest, mediaTypeDockerConfig
	}
	for _, layer := range layers {
		layer.MediaType = ociType(layer.MediaType)
		if docker {
			layer.MediaType = dockerTypes[layer.MediaType]
		}
		m.Layers = append(m.Layers, layer)
	}
	encoded, err := encode(m)
	b := &body{MediaType: m.MediaType, Config: &m.Config, Layers: m.Layers}
	return newManifest(b, encoded), err
}

// encode is a document as we write it.
func encode(document any) ([]byte, error) {
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	err := enc.Encode(document)
	return bytes.TrimSuffix(data.Bytes(), []byte("\n")), err
}

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

// Raw are the layers of an image that are not compressed.
func (m Manifest) Raw() []ocispec.Descriptor {
	return slices.DeleteFunc(slices.Clone(m.References), func(d ocispec.Descriptor) bool { return !isRawLayer(d.MediaType) || len(d.URLs) > 0 })
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
