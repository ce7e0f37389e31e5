package image

import (
	"errors"
	"io/fs"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxDepth bounds how deep indexes are nested. Two levels are usual.
const maxDepth = 8

// tree is what an OCI layout says about one image, from its root down.
type tree struct {
	contents contents
	root     *node
	// nodes and blobs are what has been looked up, by digest. A blob that is
	// not there is nil.
	nodes map[digest.Digest]*node
	blobs map[digest.Digest]*part
	// platforms are those of the configs that have been read.
	platforms map[digest.Digest]ocispec.Platform
	// size is the number of bytes of all manifests.
	size int64
}

// node is a manifest or an index.
type node struct {
	desc ocispec.Descriptor
	// body is nil when the source does not have it.
	body     *body
	manifest Manifest
	children []*node
}

// completeness is how much of an image is in the source.
type completeness int

const (
	// hollow: the manifest or the config is missing.
	hollow completeness = iota
	// partial: a layer is missing; the registry may have it.
	partial
	complete
)

func newTree(c contents) *tree {
	return &tree{contents: c, nodes: map[digest.Digest]*node{}, blobs: map[digest.Digest]*part{}, platforms: map[digest.Digest]ocispec.Platform{}}
}

// load reads the manifest that desc names, and those below it.
func (t *tree) load(desc ocispec.Descriptor, in string, depth int) (*node, error) {
	if n := t.nodes[desc.Digest]; n != nil {
		return n, nil
	}
	name, err := blobName(desc.Digest, in)
	if err != nil {
		return nil, err
	}
	data, err := document(t.contents, name)
	if errors.Is(err, fs.ErrNotExist) {
		n := &node{desc: desc}
		t.nodes[desc.Digest] = n
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != desc.Size {
		return nil, fault(ErrDigest, name, "%d bytes long, but %s says %d", len(data), in, desc.Size)
	}
	if got := desc.Digest.Algorithm().FromBytes(data); got != desc.Digest {
		return nil, fault(ErrDigest, name, "its digest is %s", got)
	}
	return t.add(desc, name, data, depth)
}

// add takes a manifest or an index into the tree.
func (t *tree) add(desc ocispec.Descriptor, name string, data []byte, depth int) (*node, error) {
	if t.size += int64(len(data)); t.size > maxDocuments {
		return nil, fault(ErrLimit, name, "the manifests of the image are over %d bytes", maxDocuments)
	}
	if depth > maxDepth {
		return nil, fault(ErrLimit, name, "indexes are nested deeper than %d", maxDepth)
	}
	b, err := parseBody(name, desc.MediaType, data)
	if err != nil {
		return nil, err
	}
	n := &node{desc: desc, body: b, manifest: newManifest(b, data)}
	n.desc.MediaType = b.MediaType
	n.manifest.Descriptor.Digest = desc.Digest
	n.manifest.Descriptor.Platform = desc.Platform
	t.nodes[desc.Digest] = n
	for _, child := range b.Manifests {
		if kindOf(child.MediaType) == kindBlob {
			continue // BuildKit keeps the layers of a cache in an index.
		}
		c, err := t.load(child, name, depth+1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, c)
	}
	return n, nil
}

// needs are the descriptors of a node that are no manifests.
func (n *node) needs() []ocispec.Descriptor {
	var needs []ocispec.Descriptor
	for i, desc := range n.body.references() {
		isConfig := i == 0 && n.body.Config != nil
		if isConfig || kindOf(n.desc.MediaType) != kindIndex || kindOf(desc.MediaType) == kindBlob {
			needs = append(needs, desc)
		}
	}
	return needs
}

// leaves are the nodes below n that are no index, n itself if it is none, each
// once.
func (n *node) leaves() []*node {
	var leaves []*node
	seen := map[*node]bool{}
	var walk func(*node)
	walk = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if n.body == nil || kindOf(n.desc.MediaType) != kindIndex {
			leaves = append(leaves, n)
		}
		for _, child := range n.children {
			walk(child)
		}
	}
	walk(n)
	return leaves
}

// blob finds a blob, or gives nil where the source does not have it.
func (t *tree) blob(desc ocispec.Descriptor, in string) (*part, error) {
	if p, known := t.blobs[desc.Digest]; known {
		return p, nil
	}
	name, err := blobName(desc.Digest, in)
	if err != nil {
		return nil, err
	}
	f, err := t.contents.find(name)
	var p *part
	switch {
	case err == nil:
		p = &part{file: f, desc: desc}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case len(desc.Data) > 0 && desc.Digest.Algorithm().FromBytes(desc.Data) == desc.Digest:
		// OCI image specification, "Embedded content".
		p = &part{file: file{name: name, size: int64(len(desc.Data))}, desc: desc, data: desc.Data}
	}
	if p != nil && p.size != desc.Size {
		return nil, fault(ErrDigest, name, "%d bytes long, but %s says %d", p.size, in, desc.Size)
	}
	t.blobs[desc.Digest] = p
	return p, nil
}

// check says how much of a leaf is there.
func (t *tree) check(n *node) (completeness, error) {
	if n.body == nil {
		return hollow, nil
	}
	state := complete
	for i, desc := range n.needs() {
		p, err := t.blob(desc, n.name())
		if err != nil {
			return hollow, err
		}
		switch {
		case p != nil, len(desc.URLs) > 0:
		case i == 0 && n.body.Config != nil:
			return hollow, nil
		default:
			state = partial
		}
	}
	return state, nil
}

func (n *node) name() string {
	name, err := blobName(n.desc.Digest, "")
	if err != nil {
		return string(n.desc.Digest)
	}
	return name
}
