package image

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The files that say what a source is.
const (
	layoutFile  = ocispec.ImageLayoutFile // "oci-layout"
	indexFile   = ocispec.ImageIndexFile  // "index.json"
	archiveFile = "manifest.json"
	// repositoriesFile is what docker writes beside it since its beginning.
	repositoriesFile = "repositories"
)

// part is a file of the source that has to be in the registry.
type part struct {
	file
	// desc is what a manifest says of the bytes stored, or else their digest
	// alone, which is empty while it is unknown.
	desc ocispec.Descriptor
	// diffID is what is inside a compressed layer, where that has to be shown.
	diffID digest.Digest
	// compress says that the registry gets the compressed form.
	compress bool
	// anew is set for a layer that the registry gets in another form than its
	// manifest says; raw is its diff ID, empty while that is unknown.
	anew bool
	raw  digest.Digest
	// data are the bytes, if they are embedded in a descriptor.
	data []byte
}

// plan is what has to be pushed of a source.
type plan struct {
	// parts are the files needed, each once, and missing what a manifest
	// names and the source does not have.
	parts   []*part
	missing []ocispec.Descriptor
	// root and children are the manifests of a layout. An archive has a
	// bundle instead; its manifest is made in the end.
	root     Manifest
	children []Manifest
	bundle   *bundle
	// anew are the layers of the manifests that become others.
	anew    *anew
	notices []string
}

// newPlan finds out from the metadata of a source what to push.
func newPlan(c contents, opts Options) (*plan, error) {
	x, err := readIndexes(c)
	if err != nil {
		return nil, err
	}
	candidates, err := x.candidates(opts)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(x.file(), candidates, opts.Name)
	if err != nil {
		return nil, err
	}
	return chosen.plan()
}

func exists(c contents, name string) (bool, error) {
	_, err := c.find(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// planTree plans what has manifests: everything as it is, byte for byte.
func planTree(t *tree, opts Options) (*plan, error) {
	p := &plan{}
	if err := p.choose(t, opts); err != nil {
		return nil, err
	}
	if err := p.take(t, t.root, map[digest.Digest]bool{}); err != nil {
		return nil, err
	}
	p.root, p.children = p.children[len(p.children)-1], p.children[:len(p.children)-1]
	if opts.ForceCompression {
		return p, p.force(t, opts.Compression)
	}
	return p, nil
}

// choose makes the root what is pushed.
func (p *plan) choose(t *tree, opts Options) error {
	if opts.Platform != "" {
		return t.narrow(opts.Platform)
	}
	if opts.NoAttestations {
		if err := p.tell(t.dropAttestations()); err != nil {
			return err
		}
	}
	return p.tell(t.prune())
}

// tell takes a notice, which may be empty.
func (p *plan) tell(notice string, err error) error {
	if notice != "" {
		p.notices = append(p.notices, notice)
	}
	return err
}

// checkLayout checks the marker of a layout and its version.
func checkLayout(c contents) error {
	data, err := document(c, layoutFile)
	if err != nil {
		return err
	}
	var marker ocispec.ImageLayout
	if err := decode(layoutFile, "an OCI layout", data, &marker); err != nil {
		return err
	}
	if !strings.HasPrefix(marker.Version, "1.") {
		return fault(ErrNotImage, layoutFile, "has layout version %q; only 1.0.0 is supported", clip(marker.Version))
	}
	return nil
}

// isImage reports whether the entries of index.json make up one image: each for
// another platform, or an attestation.
func isImage(entries []ocispec.Descriptor) bool {
	platforms := map[string]bool{}
	for _, desc := range entries {
		if len(namesOf(desc)) > 0 || desc.Platform == nil || kindOf(desc.MediaType) != kindManifest {
			return false
		}
		if isAttestation(desc) {
			continue
		}
		platform := formatPlatform(*desc.Platform)
		if platforms[platform] {
			return false
		}
		platforms[platform] = true
	}
	return len(entries) > 1 && len(platforms) > 0
}

// take adds a node and what is below it to the plan, children first.
func (p *plan) take(t *tree, n *node, taken map[digest.Digest]bool) error {
	if taken[n.desc.Digest] {
		return nil
	}
	taken[n.desc.Digest] = true
	if n.body == nil {
		return fault(ErrMissing, n.name(), "the source lacks this manifest")
	}
	for _, child := range n.children {
		if err := p.take(t, child, taken); err != nil {
			return err
		}
	}
	for _, desc := range n.needs() {
		blob, err := t.blob(desc, n.name())
		switch {
		case err != nil:
			return err
		case taken[desc.Digest]:
			continue
		case blob != nil:
			p.parts = append(p.parts, blob)
		default:
			p.missing = append(p.missing, desc)
		}
		taken[desc.Digest] = true
	}
	p.children = append(p.children, n.manifest)
	return nil
}

// id is the digest that stands for the whole content; see [Source.ID].
func (p *plan) id() digest.Digest {
	switch {
	case p.anew != nil:
		return "" // what it becomes is known at the end
	case p.bundle == nil:
		return p.root.Descriptor.Digest
	}
	for _, l := range p.bundle.layers {
		if l.part == nil || l.part.encoding != EncodingTar {
			return ""
		}
	}
	return p.bundle.config.desc.Digest
}

// image is what the plan amounts to once its parts are in the registry.
func (p *plan) image(sent map[string]Sent) (*Image, error) {
	image := &Image{Root: p.root, Children: p.children, Missing: slices.Clone(p.missing), Notices: p.notices}
	switch {
	case p.anew != nil:
		return image, p.anew.image(image, sent)
	case p.bundle == nil:
		return image, nil
	}
	var err error
	image.Root, err = p.bundle.manifest(sent)
	image.Missing = append(image.Missing, p.bundle.missing()...)
	return image, err
}

// blob makes a part readable.
func (p *part) blob(c contents, source string) *Blob {
	stored := func() (io.ReadCloser, error) {
		if p.data != nil {
			return verify(io.NopCloser(bytes.NewReader(p.data)), source, p), nil
		}
		r, err := c.open(p.name)
		if err != nil {
			return nil, named(err, source)
		}
		return verify(r, source, p), nil
	}
	if !p.anew {
		return &Blob{Name: p.name, Digest: p.desc.Digest, Size: p.size, Encoding: p.encoding, Compress: p.compress, open: stored}
	}
	b := &Blob{Name: p.name, Digest: p.raw, Encoding: EncodingTar, Compress: true, open: func() (io.ReadCloser, error) {
		return unpacked(stored, p.name, source)
	}}
	if p.encoding == EncodingTar {
		b.Size = p.size
	}
	return b
}
