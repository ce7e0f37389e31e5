package image

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Describe is m as an entry of an index: with the platform that its config
// gives.
//
// Errors: [*Error] where m is no image for a platform.
func (m Manifest) Describe(config []byte) (ocispec.Descriptor, error) {
	c, err := parseConfig("config", config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if c.OS == "" || c.Architecture == "" {
		return ocispec.Descriptor{}, fault(ErrNotImage, m.Descriptor.Digest.String(), "its config names no platform")
	}
	desc := m.Descriptor
	platform := normalize(c.Platform)
	desc.Platform = &platform
	return desc, nil
}

// Join makes the index of images and of their attestations. Each image has its platform
// in its descriptor. The index is the same for the
// same images in any order: images sorted by platform, then attestations. It is
// Docker's if everything in it is, and there are no annotations.
//
// Errors: [*Error] where there is no image, or two are for one platform.
func Join(images []ocispec.Descriptor, annotations map[string]string) (Manifest, error) {
	images = slices.Clone(images)
	rank := func(d ocispec.Descriptor) int {
		if isAttestation(d) {
			return 1
		}
		return 0
	}
	slices.SortFunc(images, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(platformName(a), platformName(b)), cmp.Compare(a.Digest, b.Digest))
	})
	images = slices.CompactFunc(images, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
	if len(images) == 0 || rank(images[0]) > 0 {
		return Manifest{}, fault(ErrNotImage, "", "there is no image to make an index of")
	}
	docker := len(annotations) == 0
	for i, d := range images {
		if i > 0 && rank(d) == 0 && platformName(d) == platformName(images[i-1]) {
			return Manifest{}, fault(ErrAmbiguous, "", "two images are for %s: %s and %s", platformName(d), images[i-1].Digest, d.Digest)
		}
		docker = docker && d.MediaType == mediaTypeDockerManifest
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: images, Annotations: annotations}
	if docker {
		index.MediaType = mediaTypeDockerList
	}
	return made(index)
}

// withoutAttestations is a node of which the indexes name no attestation, and how
// many these were.
func (t *tree) withoutAttestations(n *node) (_ *node, left int, err error) {
	if n.body == nil || kindOf(n.desc.MediaType) != kindIndex {
		return n, 0, nil
	}
	var index ocispec.Index
	if err := json.Unmarshal(n.manifest.Data, &index); err != nil {
		return nil, 0, fault(ErrInvalid, n.name(), "is no index").because(err)
	}
	children, kept := n.children, []ocispec.Descriptor{}
	var nodes []*node
	for _, desc := range index.Manifests {
		if kindOf(desc.MediaType) == kindBlob {
			kept = append(kept, desc)
			continue
		}
		child := children[0]
		children = children[1:]
		if attests(desc, child.body) {
			left++
			continue
		}
		other, below, err := t.withoutAttestations(child)
		if err != nil {
			return nil, 0, err
		}
		left += below
		if other != child {
			desc.MediaType, desc.Digest, desc.Size = other.desc.MediaType, other.desc.Digest, other.desc.Size
		}
		kept, nodes = append(kept, desc), append(nodes, other)
	}
	switch {
	case left == 0:
		return n, 0, nil
	case len(kept) == 0:
		return nil, 0, fault(ErrNotImage, n.name(), "is an index of attestations alone")
	case len(kept) == 1 && len(nodes) == 1:
		return nodes[0], left, nil
	}
	index.Manifests = kept
	other, err := t.madeAnew(n, index)
	if err == nil {
		other.children = nodes
	}
	return other, left, err
}

// madeAnew is the node of an index that was changed.
func (t *tree) madeAnew(n *node, index ocispec.Index) (*node, error) {
	index.MediaType = n.desc.MediaType
	m, err := made(index)
	if err != nil {
		return nil, err
	}
	b, err := parseBody("index", index.MediaType, m.Data)
	if err != nil {
		return nil, err
	}
	desc := n.desc
	desc.Digest, desc.Size = m.Descriptor.Digest, m.Descriptor.Size
	m.Descriptor.Platform = desc.Platform
	other := &node{desc: desc, body: b, manifest: m}
	t.nodes[desc.Digest] = other
	return other, nil
}

// dropAttestations leaves them out of the image, and says what became of it.
func (t *tree) dropAttestations() (notice string, err error) {
	whole := t.root.desc.Digest
	root, left, err := t.withoutAttestations(t.root)
	if err != nil || left == 0 {
		return "", err
	}
	t.root = root
	what := "of the index %s the image alone is pushed, without its attestations: %s"
	if kindOf(root.desc.MediaType) == kindIndex {
		what = "the index %s is pushed without its attestations, as %s"
	}
	return fmt.Sprintf(what, whole, root.desc.Digest), nil
}

func platformName(d ocispec.Descriptor) string {
	if d.Platform == nil {
		return formatPlatform(ocispec.Platform{})
	}
	return formatPlatform(*d.Platform)
}
