package image

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// bundle is an image without a manifest of its own: a config, and layers that
// are compressed on their way, as a docker archive has them.
type bundle struct {
	config      *part
	layers      []layer
	compression Compression
}

// layer is one layer of a bundle, in the order of the config.
type layer struct {
	diffID digest.Digest
	// part holds its bytes; several layers may share it. Nil means that the
	// source has only the descriptor of a layer that is found elsewhere.
	part     *part
	external ocispec.Descriptor
}

// archiveItem is one image in the manifest.json of a docker archive.
type archiveItem struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
	// LayerSources describes, by diff ID, layers that may be left out.
	LayerSources map[digest.Digest]ocispec.Descriptor `json:"LayerSources"`
}

// isRaw reports the manifest of an image with a layer that is a plain tar.
func (n *node) isRaw() bool {
	if n.body == nil || n.body.Config == nil || kindOf(n.desc.MediaType) != kindManifest {
		return false
	}
	for _, desc := range n.body.Layers {
		if isRawLayer(desc.MediaType) {
			return true
		}
	}
	return false
}

// newBundle finds the files of an image.
func newBundle(c contents, item archiveItem, opts Options) (*plan, error) {
	configName, err := cleanName(item.Config)
	if err != nil {
		return nil, fault(ErrUnsafe, archiveFile, "names the config %q: %v", clip(item.Config), err)
	}
	data, err := document(c, configName)
	if err != nil {
		return nil, configFault(configName, err)
	}
	conf, err := parseConfig(configName, data)
	if err != nil {
		return nil, err
	}
	if len(item.Layers) != len(conf.RootFS.DiffIDs) {
		return nil, fault(ErrInvalid, archiveFile, "names %d layers, but the config %s has %d", len(item.Layers), printable(configName), len(conf.RootFS.DiffIDs))
	}
	if err := matchPlatform(opts.Platform, conf.Platform); err != nil {
		return nil, err
	}
	f, err := c.find(configName)
	if err != nil {
		return nil, err
	}
	configDigest := digest.FromBytes(data)
	if want := cmp.Or(digestOf(configName), claimOf(configName)); want != "" && want.Algorithm().FromBytes(data) != want {
		return nil, fault(ErrDigest, configName, "its digest is %s", configDigest)
	}
	b := &bundle{config: &part{file: f, desc: ocispec.Descriptor{Digest: configDigest}}, compression: opts.Compression}
	p := &plan{bundle: b, parts: []*part{b.config}}
	known := map[string]*part{}
	for i, name := range item.Layers {
		l, err := newLayer(c, name, conf.RootFS.DiffIDs[i], item.LayerSources)
		if err != nil {
			return nil, err
		}
		shared := p.share(l, known, opts.Compression)
		if shared.part != nil && shared.part.diffID != l.part.diffID {
			return nil, fault(ErrInvalid, shared.part.name, "is named for two layers with different diff IDs")
		}
		b.layers = append(b.layers, shared)
	}
	for _, l := range b.layers {
		if l.part != nil && opts.forces(l.part.encoding) {
			l.part.anew, l.part.compress, l.part.raw, l.part.diffID = true, true, l.diffID, ""
		}
	}
	return p, nil
}

// configFault is why a config cannot be had.
func configFault(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault(ErrMissing, name, "the source lacks this config")
	}
	return err
}

func matchPlatform(platform string, have ocispec.Platform) error {
	if platform == "" {
		return nil
	}
	want, err := parsePlatform(platform)
	if err != nil {
		return err
	}
	if distance(want, have) < 0 {
		return fault(ErrNoMatch, "", "there is no image for %s; there are: %s", formatPlatform(want), formatPlatform(have))
	}
	return nil
}

// newLayer finds the file of a layer.
func newLayer(c contents, name string, diffID digest.Digest, external map[digest.Digest]ocispec.Descriptor) (layer, error) {
	l := layer{diffID: diffID}
	cleaned, err := cleanName(name)
	if err != nil {
		return l, fault(ErrUnsafe, archiveFile, "names the layer %q: %v", clip(name), err)
	}
	f, err := c.find(cleaned)
	desc, described := external[diffID]
	switch {
	case errors.Is(err, fs.ErrNotExist) && described && len(desc.URLs) > 0:
		l.external = desc
		_, err := blobName(desc.Digest, archiveFile)
		return l, err
	case errors.Is(err, fs.ErrNotExist):
		return l, fault(ErrMissing, cleaned, "the source lacks this layer")
	case err != nil:
		return l, err
	case f.encoding == EncodingOpaque:
		return l, fault(ErrInvalid, f.name, "is neither a tar nor compressed with gzip or zstd, so it is no layer")
	}
	l.part = &part{file: f, desc: ocispec.Descriptor{Digest: digestOf(f.name)}}
	switch {
	case f.encoding == EncodingTar:
		l.part.desc.Digest = diffID
	case l.part.desc.Digest == "":
		// Nothing says what bytes these are but the diff ID of what is inside.
		l.part.diffID = diffID
	}
	if f.proof != nil {
		return l, f.proof.check(f.name, diffID)
	}
	return l, nil
}

// share adds the part of a layer to the plan, unless an earlier layer has the
// same bytes.
func (p *plan) share(l layer, known map[string]*part, compression Compression) layer {
	if l.part == nil {
		return l
	}
	key := cmp.Or(l.part.desc.Digest.String(), l.part.name)
	if same := known[key]; same != nil {
		l.part = same
		return l
	}
	known[key] = l.part
	l.part.compress = l.part.encoding == EncodingTar && compression.algorithm() != None
	p.parts = append(p.parts, l.part)
	return l
}

// manifest makes the manifest, from what became of the layers.
func (b *bundle) manifest(sent map[string]Sent) (Manifest, error) {
	var layers []ocispec.Descriptor
	for _, l := range b.layers {
		desc, err := b.describe(l, sent)
		if err != nil {
			return Manifest{}, err
		}
		layers = append(layers, desc)
	}
	return buildManifest(ocispec.Descriptor{Digest: b.config.desc.Digest, Size: b.config.size}, layers)
}

// describe gives the descriptor of a layer as the registry holds it.
func (b *bundle) describe(l layer, sent map[string]Sent) (ocispec.Descriptor, error) {
	if l.part == nil {
		return l.external, nil
	}
	s, ok := sent[l.part.name]
	if !ok {
		return ocispec.Descriptor{}, fmt.Errorf("layer %s was not sent", printable(l.part.name))
	}
	desc := ocispec.Descriptor{Digest: s.Digest, Size: s.Size}
	if l.part.encoding != EncodingTar && !l.part.anew {
		desc.MediaType = layerTypes[string(l.part.encoding)]
		return desc, nil
	}
	raw, algorithm := s.DiffID, b.compression.algorithm()
	if raw == "" {
		raw, algorithm = s.Digest, None
	}
	if raw != l.diffID {
		return desc, fault(ErrDigest, l.part.name, "the layer's digest is %s, but the config says %s", raw, l.diffID)
	}
	desc.MediaType = layerTypes[algorithm]
	return desc, nil
}

// missing are the layers that the source only describes.
func (b *bundle) missing() []ocispec.Descriptor {
	var missing []ocispec.Descriptor
	for _, l := range b.layers {
		if l.part == nil {
			missing = append(missing, l.external)
		}
	}
	return missing
}
