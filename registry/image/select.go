package image

import (
	"fmt"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// platform is that of an image, by its descriptor or else by its config.
func (t *tree) platform(n *node) ocispec.Platform {
	if p := n.desc.Platform; p != nil && p.OS != "" {
		return *p
	}
	if n.body == nil || n.body.Config == nil {
		return ocispec.Platform{}
	}
	config := n.body.Config.Digest
	p, known := t.platforms[config]
	if !known {
		p = t.configPlatform(config, n.name())
		t.platforms[config] = p
	}
	return p
}

// configPlatform is the platform in a config, zero where it cannot be had: an
// artifact has none.
func (t *tree) configPlatform(config digest.Digest, in string) ocispec.Platform {
	name, err := blobName(config, in)
	if err != nil {
		return ocispec.Platform{}
	}
	data, err := document(t.contents, name)
	if err != nil {
		return ocispec.Platform{}
	}
	c, err := parseConfig(name, data)
	if err != nil {
		return ocispec.Platform{}
	}
	return c.Platform
}

// images are the leaves that are no attestations, with their platforms.
func (t *tree) images() (nodes []*node, platforms []ocispec.Platform) {
	for _, n := range t.root.leaves() {
		if !isAttestation(n.desc) {
			nodes, platforms = append(nodes, n), append(platforms, t.platform(n))
		}
	}
	return nodes, platforms
}

// narrow makes the image for one platform the root.
func (t *tree) narrow(platform string) error {
	want, err := parsePlatform(platform)
	if err != nil {
		return err
	}
	nodes, platforms := t.images()
	found := nearest(want, platforms)
	switch {
	case len(found) == 0:
		return fault(ErrNoMatch, "", "there is no image for %s; there are: %s", formatPlatform(want), listPlatforms(platforms))
	case len(found) > 1:
		var which []ocispec.Platform
		for _, i := range found {
			which = append(which, platforms[i])
		}
		return fault(ErrAmbiguous, "", "several images are for %s: %s", formatPlatform(want), listPlatforms(which))
	}
	t.root = nodes[found[0]]
	return nil
}

// prune makes a single image the root where the source holds no more of an
// index, as a daemon does that has pulled one platform of many. It returns
// what to tell the user.
func (t *tree) prune() (notice string, err error) {
	index := t.root
	if index.body == nil || kindOf(index.desc.MediaType) != kindIndex {
		return "", nil
	}
	s, err := t.survey()
	switch {
	case err != nil:
		return "", err
	case s.pushable():
		return "", nil
	case len(s.whole) == 1:
		t.root = s.whole[0]
	case len(s.whole) == 0 && len(s.part) == 1:
		t.root = s.part[0]
	case len(s.whole)+len(s.part) == 0:
		return "", fault(ErrMissing, index.name(), "is an index of which the source holds no image; it names: %s", t.list(s.none))
	default:
		return "", fault(ErrAmbiguous, index.name(),
			"is an index of which the source holds only a part; choose a platform (--platform) among: %s", t.list(append(s.whole, s.part...)))
	}
	return fmt.Sprintf("of the index %s the source holds only the image for %s, which is pushed alone",
		short(index.desc.Digest), t.list([]*node{t.root})), nil
}

// survey sorts the images of an index by how much of them is there.
type survey struct {
	whole, part, none []*node
	// attested says that every attestation is whole.
	attested bool
}

func (t *tree) survey() (survey, error) {
	s := survey{attested: true}
	for _, n := range t.root.leaves() {
		state, err := t.check(n)
		switch {
		case err != nil:
			return survey{}, err
		case isAttestation(n.desc):
			s.attested = s.attested && state == complete
		case state == complete:
			s.whole = append(s.whole, n)
		case state == partial:
			s.part = append(s.part, n)
		default:
			s.none = append(s.none, n)
		}
	}
	return s, nil
}

// pushable reports an index that can be pushed as it is: nothing is missing,
// or of every image the same, its layers, which the registry may have.
func (s survey) pushable() bool {
	return s.attested && len(s.none) == 0 && (len(s.part) == 0 || len(s.whole) == 0)
}

// list names the platforms of nodes in a message.
func (t *tree) list(nodes []*node) string {
	var platforms []ocispec.Platform
	for _, n := range nodes {
		platforms = append(platforms, t.platform(n))
	}
	return listPlatforms(platforms)
}
