package image

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/distribution/reference"
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
		return "", fault(ErrMissing, index.name(), "is an index, and the source holds none of its images; it names: %s", t.list(s.none))
	default:
		return "", fault(ErrAmbiguous, index.name(),
			"is an index, and the source holds only a part of it; choose a platform (--platform) among: %s", t.list(append(s.whole, s.part...)))
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

const (
	// annotationName is the full reference in what containerd and Docker
	// export; the OCI annotation beside it then has the tag alone.
	annotationName = "io.containerd.image.name"
	// annotationSubject marks what containerd exports beside an image because
	// it refers to it: a signature, an attestation.
	annotationSubject = "io.containerd.manifest.subject"
	// annotationKind says what cosign saves: an image, or its signatures.
	annotationKind = "kind"
)

// candidate is one image of several in a source.
type candidate struct {
	// ids are the digests that one can ask for it by, and in an archive the name
	// of its config. The first is the same for two candidates that are the same
	// image, and is what people are shown.
	ids   []string
	names []string
	// positions are its places in index.json and in manifest.json.
	positions []int
	// about says what it is in a list, where it has no name.
	about string
	plan  func() (*plan, error)
}

// namesOf are the names that a layout gives an image.
func namesOf(desc ocispec.Descriptor) []string {
	var names []string
	for _, key := range []string{annotationName, ocispec.AnnotationRefName} {
		if name := desc.Annotations[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// choose gives the image that is meant. An empty name means the only one.
func choose(file string, candidates []candidate, name string) (candidate, error) {
	found := called(candidates, name)
	if len(found) == 0 {
		found = called(candidates, podmansOwn+name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(candidates) == 0:
		return candidate{}, fault(ErrNotImage, file, "names no image")
	case len(found) == 0:
		return candidate{}, fault(ErrNoMatch, file, "there is no image %q; there are: %s", clip(name), listNames(distinct(candidates)))
	case name != "":
		return candidate{}, fault(ErrAmbiguous, file, "there are several images %q; choose one with --image: %s", clip(name), listNames(found))
	}
	return candidate{}, fault(ErrAmbiguous, file, "there are several images; choose one with --image: %s", listNames(found))
}

// podmansOwn is what podman calls images that were built without the name of a
// registry.
const podmansOwn = "localhost/"

// called are the candidates that a name means. An empty one means any.
func called(candidates []candidate, name string) []candidate {
	var found []candidate
	for _, c := range distinct(candidates) {
		if name == "" || c.isCalled(name) {
			found = append(found, c)
		}
	}
	return found
}

// distinct puts the candidates together that are the same image.
func distinct(candidates []candidate) []candidate {
	var all []candidate
	known := map[string]int{}
	for _, c := range candidates {
		i, seen := known[c.ids[0]]
		if !seen {
			known[c.ids[0]] = len(all)
			all = append(all, c)
			continue
		}
		all[i].names = append(slices.Clip(all[i].names), c.names...)
		all[i].positions = append(slices.Clip(all[i].positions), c.positions...)
	}
	return all
}

// isCalled reports whether a name means the candidate: one of its names, its
// digest, both as in NAME@DIGEST, or its position as in @0.
func (c candidate) isCalled(name string) bool {
	if c.hasName(name) || c.hasID(name) {
		return true
	}
	before, at, found := strings.Cut(name, "@")
	if !found || before != "" && !c.hasName(before) {
		return false
	}
	if n, err := strconv.Atoi(at); err == nil && before == "" {
		return slices.Contains(c.positions, n)
	}
	return c.hasID(at)
}

func (c candidate) hasName(name string) bool {
	return slices.ContainsFunc(c.names, func(n string) bool { return sameName(n, name) })
}

// hasID takes a digest of SHA-256 without its first word, too.
func (c candidate) hasID(id string) bool {
	return slices.Contains(c.ids, id) || slices.Contains(c.ids, "sha256:"+id)
}

// sameName compares references in full: "app" is "docker.io/library/app:latest".
func sameName(a, b string) bool { return fullName(a) == fullName(b) }

// fullName is a reference with all that it leaves out, where it is one.
func fullName(name string) string {
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		return name
	}
	return ref.String()
}

var digestPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[0-9a-f]{64}`) })

// isID reports a name with a digest in it.
func isID(name string) bool { return digestPattern().MatchString(name) }

// listNames says how each candidate can be asked for: by its first name, by its
// digest where it has none, and by both where the name is another's as well.
func listNames(candidates []candidate) string {
	holders := map[string]int{}
	for _, c := range candidates {
		if len(c.names) > 0 {
			holders[c.names[0]]++
		}
	}
	var names []string
	for _, c := range candidates {
		switch {
		case len(c.names) > 0 && holders[c.names[0]] > 1:
			names = append(names, printable(c.names[0]+"@"+c.ids[0]))
		case len(c.names) > 0:
			names = append(names, printable(c.names[0]))
		case c.about != "":
			names = append(names, printable(c.ids[0])+" ("+printable(c.about)+")")
		default:
			names = append(names, printable(c.ids[0]))
		}
	}
	return list(names)
}
