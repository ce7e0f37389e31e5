package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// indexes are the files of a source that name its images. What docker writes
// has both, and neither is the whole truth: Engine 29 leaves an image out of
// index.json that manifest.json has, and that one has no index of platforms.
// They are compared, and an image is one that either names.
type indexes struct {
	contents contents
	// layout is what index.json says, nil where there is none.
	layout *body
	data   []byte
	// items are the images in the manifest.json of a docker archive.
	items []archiveItem
	// manifest is the manifest.json of skopeo's dir: instead, which is that of
	// the one image itself.
	manifest []byte
	tree     *tree
}

func readIndexes(c contents) (*indexes, error) {
	isLayout, err := exists(c, layoutFile)
	if err != nil {
		return nil, err
	}
	hasIndex, err := exists(c, indexFile)
	if err != nil {
		return nil, err
	}
	hasManifest, err := exists(c, archiveFile)
	switch {
	case err != nil:
		return nil, err
	case !hasIndex && !hasManifest && isLayout:
		return nil, fault(ErrNotImage, "", "has an %s, but no %s", layoutFile, indexFile)
	case !hasIndex && !hasManifest:
		return nil, fault(ErrNotImage, "", "has neither the %s and %s of an OCI layout nor the %s of a docker archive", layoutFile, indexFile, archiveFile)
	}
	x := &indexes{contents: c, tree: newTree(c)}
	if isLayout {
		err = checkLayout(c)
	}
	if err == nil && hasIndex {
		err = x.readLayout()
	}
	if err == nil && hasManifest {
		err = x.readArchive()
	}
	return x, err
}

func (x *indexes) readLayout() error {
	data, err := document(x.contents, indexFile)
	if err != nil {
		return err
	}
	index, err := parseBody(indexFile, "", data)
	if err != nil {
		return err
	}
	if kindOf(index.MediaType) != kindIndex && len(index.references()) > 0 {
		return fault(ErrInvalid, indexFile, "is of type %q, not an index", clip(index.MediaType))
	}
	x.layout, x.data = index, data
	return nil
}

func (x *indexes) readArchive() error {
	data, err := document(x.contents, archiveFile)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		x.manifest = data
		return nil
	}
	return decode(archiveFile, "the manifest of a docker archive", data, &x.items)
}

// file is the one that messages about the choice name, empty where it is among
// the images of both.
func (x *indexes) file() string {
	switch {
	case x.items == nil && x.manifest == nil:
		return indexFile
	case x.layout != nil && len(x.layout.Manifests) > 0:
		return ""
	}
	return archiveFile
}

// candidates are all images that the indexes name.
func (x *indexes) candidates(opts Options) ([]candidate, error) {
	entries, err := x.entries(opts)
	if err != nil {
		return nil, err
	}
	if x.manifest != nil {
		flat, err := x.flat(opts)
		return append(entryCandidates(entries), flat), err
	}
	rest, err := x.match(entries, opts)
	if err != nil {
		return nil, err
	}
	return append(entryCandidates(entries), rest...), nil
}

// imageEntry is one image of index.json.
type imageEntry struct {
	candidate
	desc ocispec.Descriptor
	// node is nil until it is needed; whole is index.json as the image itself.
	node  *node
	whole bool
}

func entryCandidates(entries []*imageEntry) []candidate {
	var all []candidate
	for _, e := range entries {
		all = append(all, e.candidate)
	}
	return all
}

// entries are the images of index.json. Where nothing there has a name and
// every entry is for a platform of its own, index.json is the index of one image
// itself, and is pushed as it is, as crane does.
func (x *indexes) entries(opts Options) ([]*imageEntry, error) {
	if x.layout == nil {
		return nil, nil
	}
	if opts.Name == "" && isImage(x.layout.Manifests) {
		e := &imageEntry{desc: newManifest(x.layout, x.data).Descriptor, whole: true}
		e.ids = []string{e.desc.Digest.String()}
		e.plan = func() (*plan, error) { return x.planEntry(e, opts) }
		return []*imageEntry{e}, nil
	}
	var entries []*imageEntry
	for i, desc := range x.layout.Manifests {
		if desc.Annotations[annotationSubject] != "" {
			continue
		}
		e := &imageEntry{desc: desc}
		e.ids, e.names, e.positions = []string{desc.Digest.String()}, namesOf(desc), []int{i}
		e.about = cmp.Or(desc.ArtifactType, desc.Annotations[annotationKind])
		if desc.Platform != nil && e.about == "" {
			e.about = formatPlatform(*desc.Platform)
		}
		e.plan = func() (*plan, error) { return x.planEntry(e, opts) }
		entries = append(entries, e)
	}
	return entries, x.addConfigs(entries, opts.Name)
}

// addConfigs makes the digests of configs known, which are image IDs of docker,
// where no manifest has the digest that is asked for.
func (x *indexes) addConfigs(entries []*imageEntry, name string) error {
	if _, err := choose(indexFile, entryCandidates(entries), name); err == nil || !isID(name) {
		return nil
	}
	for _, e := range entries {
		if err := x.load(e); err != nil {
			return err
		}
	}
	return nil
}

// load reads the manifests of an entry.
func (x *indexes) load(e *imageEntry) (err error) {
	switch {
	case e.node != nil:
		return nil
	case e.whole:
		e.node, err = x.tree.add(e.desc, indexFile, x.data, 0)
		return err
	case e.desc.MediaType != "" && kindOf(e.desc.MediaType) == kindBlob:
		return nil
	}
	desc := e.desc
	desc.Annotations = nil
	if e.node, err = x.tree.load(desc, indexFile, 0); err != nil {
		return err
	}
	if b := e.node.body; b != nil && b.Config != nil {
		e.ids = append(e.ids, b.Config.Digest.String())
	}
	return nil
}

func (x *indexes) planEntry(e *imageEntry, opts Options) (*plan, error) {
	if err := x.load(e); err != nil {
		return nil, err
	}
	if e.node == nil {
		return nil, fault(ErrNotImage, indexFile, "names a %q, which is no image", clip(e.desc.MediaType))
	}
	x.tree.root = e.node
	return planTree(x.tree, opts)
}

// holder is an entry with one of the images in it.
type holder struct {
	entry *imageEntry
	leaf  *node
}

// maxHolders bounds the images of all entries together: indexes can name the
// same indexes over and over.
const maxHolders = 1 << 16

// holders are the images of the entries, by their configs.
func (x *indexes) holders(entries []*imageEntry) (map[string][]holder, error) {
	all := map[string][]holder{}
	count := 0
	for _, e := range entries {
		if err := x.load(e); err != nil {
			return nil, err
		}
		if e.node == nil {
			continue
		}
		for _, leaf := range e.node.leaves() {
			if count++; count > maxHolders {
				return nil, fault(ErrLimit, indexFile, "names more than %d images", maxHolders)
			}
			if leaf.body != nil && leaf.body.Config != nil {
				config := leaf.body.Config.Digest.String()
				all[config] = append(all[config], holder{e, leaf})
			}
		}
	}
	return all, nil
}

// match finds the entries that hold the images of manifest.json, compares them,
// and gives the images that none has.
func (x *indexes) match(entries []*imageEntry, opts Options) ([]candidate, error) {
	var rest []candidate
	if len(x.items) == 0 {
		return nil, nil
	}
	holders, err := x.holders(entries)
	if err != nil {
		return nil, err
	}
	given := givenNames(entries)
	for i, item := range x.items {
		c, err := x.itemCandidate(i, item, opts)
		if err != nil {
			return nil, err
		}
		found := holders[c.ids[0]]
		for _, name := range c.names {
			if others := given[fullName(name)]; len(others) > 0 && !slices.ContainsFunc(found, func(h holder) bool { return others[h.entry] }) {
				return nil, fault(ErrUnsafe, archiveFile, "gives the name %q to another image than %s does", clip(name), indexFile)
			}
		}
		for _, h := range found {
			if err := x.unite(h, item, c, opts); err != nil {
				return nil, err
			}
		}
		if len(found) == 0 {
			rest = append(rest, c)
		}
	}
	if len(entries) > 0 && len(rest) == len(x.items) {
		return nil, fault(ErrInvalid, archiveFile, "does not name the config %s, as %s does", anyKey(holders), indexFile)
	}
	return rest, nil
}

// anyKey is the first of the configs, in their order.
func anyKey(holders map[string][]holder) string {
	if len(holders) == 0 {
		return "of any image"
	}
	return slices.Min(slices.Collect(maps.Keys(holders)))
}

// givenNames are the entries with each full name that docker gives.
func givenNames(entries []*imageEntry) map[string]map[*imageEntry]bool {
	given := map[string]map[*imageEntry]bool{}
	for _, e := range entries {
		if name := e.desc.Annotations[annotationName]; name != "" {
			full := fullName(name)
			if given[full] == nil {
				given[full] = map[*imageEntry]bool{}
			}
			given[full][e] = true
		}
	}
	return given
}

// unite compares what both indexes say of an image, and makes what manifest.json
// says known of the entry of index.json.
func (x *indexes) unite(h holder, item archiveItem, c candidate, opts Options) error {
	if err := agree(h.leaf, item); err != nil {
		return err
	}
	e := h.entry
	e.names = append(e.names, c.names...)
	e.positions = append(e.positions, c.positions...)
	if h.leaf == e.node && x.isMadeUp(h.leaf, item) {
		e.ids = []string{c.ids[0], e.desc.Digest.String()}
		e.plan = func() (*plan, error) { return newBundle(x.contents, item, opts) }
	}
	return nil
}

// agree compares the layers of an image in both indexes.
func agree(leaf *node, item archiveItem) error {
	layers := leaf.body.Layers
	if len(layers) != len(item.Layers) {
		return fault(ErrInvalid, archiveFile, "names %d layers of the image %s, but its manifest has %d", len(item.Layers), clip(item.Config), len(layers))
	}
	for i, name := range item.Layers {
		cleaned, err := cleanName(name)
		if err != nil {
			return fault(ErrUnsafe, archiveFile, "names the layer %q: %v", clip(name), err)
		}
		if d := digestOf(cleaned); d != "" && d != layers[i].Digest && len(layers[i].URLs) == 0 {
			return fault(ErrInvalid, archiveFile, "names the layer %s, but the manifest of the image names %s", d, layers[i].Digest)
		}
	}
	return nil
}

// isMadeUp reports what Docker's classic store writes since version 25: its
// layers are raw because the store keeps them so, and the manifest, which says
// nothing else, was written for the occasion. The store writes that of no other
// image, and nobody else writes the marks that it leaves beside it.
func (x *indexes) isMadeUp(leaf *node, item archiveItem) bool {
	if !leaf.isRaw() {
		return false
	}
	var m ocispec.Manifest
	if json.Unmarshal(leaf.manifest.Data, &m) != nil || m.Annotations != nil || m.Subject != nil || m.ArtifactType != "" {
		return false
	}
	again, err := json.Marshal(m)
	if err != nil || !bytes.Equal(again, leaf.manifest.Data) {
		return false
	}
	hasRepositories, err := exists(x.contents, repositoriesFile)
	return len(item.LayerSources) > 0 || err == nil && hasRepositories
}

// itemCandidate is one image of the manifest.json of a docker archive.
func (x *indexes) itemCandidate(position int, item archiveItem, opts Options) (candidate, error) {
	id, err := x.configDigest(item.Config, x.layout != nil || isID(opts.Name))
	if err != nil {
		return candidate{}, err
	}
	return candidate{
		ids: []string{cmp.Or(id.String(), item.Config), item.Config}, names: item.RepoTags, positions: []int{position},
		plan: func() (*plan, error) { return newBundle(x.contents, item, opts) },
	}, nil
}

// configDigest is the digest of a config by its name, or else by its bytes, if
// it has to be known.
func (x *indexes) configDigest(name string, needed bool) (digest.Digest, error) {
	cleaned, err := cleanName(name)
	if err != nil {
		return "", nil //nolint:nilerr // is told of when the image is the one that is pushed
	}
	if d := cmp.Or(digestOf(cleaned), claimOf(cleaned)); d != "" || !needed {
		return d, nil
	}
	data, err := document(x.contents, cleaned)
	if err != nil {
		return "", configFault(cleaned, err)
	}
	return digest.FromBytes(data), nil
}

// flat is the image of skopeo's dir:.
func (x *indexes) flat(opts Options) (candidate, error) {
	b, err := parseBody(archiveFile, "", x.manifest)
	if err != nil {
		return candidate{}, err
	}
	desc := newManifest(b, x.manifest).Descriptor
	return candidate{ids: []string{desc.Digest.String()}, positions: []int{0}, plan: func() (*plan, error) {
		t := newTree(flat{x.contents})
		var err error
		if t.root, err = t.add(desc, archiveFile, x.manifest, 0); err != nil {
			return nil, err
		}
		return planTree(t, opts)
	}}, nil
}
