package cache

import (
	"fmt"
	"slices"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Layer is what a raw layer became.
type Layer struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
}

// Question is what is known of a blob before it is sent to a repository of a host.
type Question struct {
	Host, Repository string
	// Digest is that of a blob which is sent as it is, DiffID that of a raw layer
	// which becomes a blob of the form. Either may be empty.
	Digest, DiffID digest.Digest
	Form           image.Compression
	// Name is the layer's name in its archive, if nothing else is known of it.
	Name string
}

// Answer is what the cache has of it.
type Answer struct {
	// Layer is what the raw layer became; zero where that is not known.
	Layer Layer
	// Holder is the repository of the host that may have the blob: the
	// destination itself, or one that the blob can be mounted from. It is empty
	// where none is known.
	Holder string
	// Named says that a layer of that name was sent to the repository before.
	// Another layer may have the name by now: it is worth waiting for the digest,
	// and no more.
	Named bool
}

// Ask gives what earlier pushes have left of a blob.
func (c *Cache) Ask(q Question) (a Answer) {
	d := q.Digest
	if q.DiffID != "" {
		if layer, known := c.Layer(q.DiffID, q.Form); known {
			a.Layer, d = layer, layer.Digest
		}
	}
	if d != "" {
		a.Holder = c.holder(q.Host, q.Repository, d)
	}
	if q.Name != "" {
		a.Named = c.read(&struct{}{}, "names", namedKey(q.Host, q.Repository, q.Name))
	}
	return a
}

// Lesson is what a push leaves to the next of one raw layer. What is empty was not
// learned.
type Lesson struct {
	// Layer is what the layer with that diff ID became in that form.
	DiffID digest.Digest
	Form   image.Compression
	Layer  Layer
	// Begins is the digest of its first bytes; see standin.go of package relay.
	Begins digest.Digest
	// Host is one that got it; Name what it is called in its archive, where the
	// repository got one of that name.
	Host, Repository, Name string
	// Loopback is the repository at the loopback registry where the daemon has a
	// digest for it.
	Loopback string
}

// Learn keeps a lesson.
func (c *Cache) Learn(l Lesson) {
	c.write(l.Layer, "layers", cacheKey(l.DiffID, l.Form))
	if l.Begins != "" {
		c.write(l.Begins, "beginnings", l.DiffID.Encoded())
	}
	if l.Host != "" {
		c.write(struct{}{}, "pushed", pairKey(l.Host, l.DiffID))
	}
	if l.Name != "" {
		c.write(struct{}{}, "names", namedKey(l.Host, l.Repository, l.Name))
	}
	if l.Loopback != "" {
		c.write(struct{}{}, "taught", pairKey(l.Loopback, l.DiffID))
	}
}

// Layer is what a raw layer became in one form, if that is known.
func (c *Cache) Layer(diffID digest.Digest, compression image.Compression) (Layer, bool) {
	var e Layer
	ok := c.read(&e, "layers", cacheKey(diffID, compression))
	return e, ok && e.Digest.Validate() == nil && e.Size > 0
}

// Beginning is the digest of the first bytes of a raw layer, see
// standin.go of package relay; empty where that is not known.
func (c *Cache) Beginning(diffID digest.Digest) digest.Digest {
	var d digest.Digest
	_ = c.read(&d, "beginnings", diffID.Encoded()) // absent is as good as empty
	return d
}

// Pushed returns how many of an image's layers, from the bottom on, were pushed
// to host before, in whichever way. They need not be compressed again.
func (c *Cache) Pushed(host string, diffIDs []digest.Digest) int {
	for i, d := range diffIDs {
		if !c.read(&struct{}{}, "pushed", pairKey(host, d)) {
			return i
		}
	}
	return len(diffIDs)
}

// holdersEntry are repositories of a host that got a blob from here, the latest
// last.
type holdersEntry struct {
	Repositories []string `json:"repositories"`
}

// maxHolders is how many of them are kept.
const maxHolders = 16

// holder implements [Answer.Holder].
func (c *Cache) holder(host, destination string, d digest.Digest) string {
	var e holdersEntry
	_ = c.read(&e, "holders", pairKey(host, d)) // absent is as good as empty
	switch {
	case len(e.Repositories) == 0:
		return ""
	case slices.Contains(e.Repositories, destination):
		return destination
	}
	return e.Repositories[len(e.Repositories)-1]
}

// KeepHolder notes that a repository of host has a blob.
func (c *Cache) KeepHolder(host, repository string, d digest.Digest) {
	var e holdersEntry
	_ = c.read(&e, "holders", pairKey(host, d)) // absent is as good as empty
	if slices.Contains(e.Repositories, repository) {
		return
	}
	e.Repositories = append(e.Repositories, repository)
	e.Repositories = e.Repositories[max(len(e.Repositories)-maxHolders, 0):]
	c.write(e, "holders", pairKey(host, d))
}

// Taught reports whether the daemon has a digest for a layer at the loopback
// registry.
func (c *Cache) Taught(repository string, diffID digest.Digest) bool {
	return c.read(&struct{}{}, "taught", pairKey(repository, diffID))
}

func namedKey(host, repository, name string) string {
	return digest.FromString(fmt.Sprintf("%s %s %s", host, repository, name)).Encoded()
}

func pairKey(name string, d digest.Digest) string {
	return digest.FromString(name + " " + d.String()).Encoded()
}

func cacheKey(id digest.Digest, compression image.Compression) string {
	return digest.FromString(fmt.Sprintf("%s %s", id, compression)).Encoded()
}
