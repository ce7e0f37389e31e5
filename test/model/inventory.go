package model

import (
	"maps"
	"slices"
)

// names are those that images of a daemon have in a history.
var names = []string{"app:1", "app:2"}

// held is a picture in a daemon.
type held struct {
	*picture
	// platforms is how many of its images are there, from the first on, which is
	// for the daemon's own.
	platforms int
	// hollow: the daemon has the files of its layers from another image, and has
	// left the layers where it pulled them from (or has lost them).
	hollow bool
	// origin is the repository with its host that it was pulled from; empty is
	// none.
	origin string
}

// whole: nothing of an index is left out.
func (h *held) whole() bool { return h.platforms == len(h.members) }

// present are the images that are there.
func (h *held) present() []*member { return h.members[:h.platforms] }

// presentDocuments are the documents that are there, without an index that lacks a
// part.
func (h *held) presentDocuments() []*document {
	if h.whole() {
		return h.root.children
	}
	var documents []*document
	for _, m := range h.present() {
		documents = append(documents, m.document)
	}
	return documents
}

// holds tells whether the daemon has a blob of it.
func (h *held) holds(b blob) bool {
	return !h.hollow || !slices.ContainsFunc(h.members, func(m *member) bool {
		return slices.ContainsFunc(m.layers, func(l *layer) bool { return l.stored.digest == b.digest })
	})
}

// inventory is what a daemon has.
type inventory struct {
	containerd bool
	// images are what it has, by ID; named says which image a name has.
	images map[string]*held
	named  map[string]string
	// before is what a name had before it got its present image.
	before map[string]*picture
}

func newInventory(containerd bool) inventory {
	return inventory{containerd: containerd, images: map[string]*held{}, named: map[string]string{}, before: map[string]*picture{}}
}

// id is what a daemon calls a picture: the digest of its config, or of its
// root in the containerd store.
func (i *inventory) id(p *picture) string {
	if i.containerd {
		return p.root.digest
	}
	return p.members[0].config.digest
}

// find looks an image up by its name or ID.
func (i *inventory) find(name string) (id string, found *held) {
	if id, named := i.named[name]; named {
		return id, i.images[id]
	}
	return name, i.images[name]
}

// load adds a picture under a name, which another may have had, with as many of
// its images as there are platforms.
func (i *inventory) load(p *picture, name string, platforms int) {
	id := i.id(p)
	if i.images[id] == nil {
		i.images[id] = &held{picture: p}
	}
	found := i.images[id]
	found.platforms = max(found.platforms, min(platforms, len(p.members)))
	found.hollow = false
	if old := i.images[i.named[name]]; old != nil && old != found {
		i.before[name] = old.picture
	}
	i.named[name] = id
}

// pull adds a picture whose layers stay where it comes from.
func (i *inventory) pull(p *picture, name, origin string) {
	known := i.images[i.id(p)] != nil
	i.load(p, name, len(p.members))
	found := i.images[i.id(p)]
	found.hollow, found.origin = !known, origin
}

// namesOf are the names of an image, sorted.
func (i *inventory) namesOf(id string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(i.named)) {
		if i.named[name] == id {
			all = append(all, name)
		}
	}
	return all
}

// untag takes a name away. An image is gone with its last name.
func (i *inventory) untag(name string) (was bool) {
	id, was := i.named[name]
	delete(i.named, name)
	if len(i.namesOf(id)) == 0 {
		delete(i.images, id)
	}
	return was
}

// prune removes the images without a name.
func (i *inventory) prune() {
	maps.DeleteFunc(i.images, func(id string, _ *held) bool { return len(i.namesOf(id)) == 0 })
}
