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
	// whole: the daemon has it for all platforms, not for its own alone.
	whole bool
}

// members are the images that are there.
func (h *held) present() []*member {
	if h.whole {
		return h.members
	}
	return h.members[:1]
}

// documents are the documents whose content is there, without an index of
// which a part is not.
func (h *held) presentDocuments() []*document {
	if h.whole {
		return h.root.children
	}
	return []*document{h.members[0].document}
}

// inventory is what a daemon has.
type inventory struct {
	containerd bool
	// images are what it has, by ID; named says which image a name has.
	images map[string]*held
	named  map[string]string
}

func newInventory(containerd bool) inventory {
	return inventory{containerd: containerd, images: map[string]*held{}, named: map[string]string{}}
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

// load adds a picture under a name, which another may have had.
func (i *inventory) load(p *picture, name string, whole bool) {
	id := i.id(p)
	if i.images[id] == nil {
		i.images[id] = &held{picture: p}
	}
	i.images[id].whole = i.images[id].whole || whole || len(p.members) == 1
	i.named[name] = id
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
