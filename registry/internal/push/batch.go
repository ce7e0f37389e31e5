package push

import (
	"sync"

	digest "github.com/opencontainers/go-digest"
)

// Batch is what pushes that are made together share: none of them asks again for
// what another has found in a repository, or put there. A nil Batch knows nothing.
// It is safe for concurrent use.
//
// What it knows may have gone meanwhile. The registry says so when it gets a
// manifest that names it, and the push sends it then (see [push.repair]).
type Batch struct {
	// mu guards the fields below.
	mu sync.Mutex
	// there says which blobs and manifests a repository has. lacking are the
	// repositories that lacked the manifest of some image.
	there   map[place]bool
	lacking map[string]bool
	// sizes are those of blobs of any repository, in bytes.
	sizes map[digest.Digest]int64
}

// place is a blob or a manifest in a repository.
type place struct {
	repository string
	digest     digest.Digest
}

// NewBatch makes a Batch for pushes to one registry.
func NewBatch() *Batch {
	return &Batch{there: map[place]bool{}, lacking: map[string]bool{}, sizes: map[digest.Digest]int64{}}
}

// has reports that one of the pushes has seen a blob or a manifest.
func (b *Batch) has(repository string, d digest.Digest) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.there[place{repository, d}]
}

// add notes a blob or a manifest, there or not.
func (b *Batch) add(repository string, d digest.Digest, there bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there[place{repository, d}] = there
}

// measure notes the size of a blob, in bytes, which one of the pushes has sent or found.
func (b *Batch) measure(d digest.Digest, size int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sizes[d] = size
}

// size is that of a blob, where one of the pushes knows it.
func (b *Batch) size(d digest.Digest) (size int64, known bool) {
	if b == nil {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	size, known = b.sizes[d]
	return size, known
}

// lacks notes that a repository does not have the manifest of an image.
func (b *Batch) lacks(repository string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lacking[repository] = true
}

// worthAsking reports whether to ask a repository for the manifest of an image
// of which nothing is known. The images of a batch are mostly of the same age:
// if a repository lacked the manifest of one, it lacks the next, and the push
// asks for the blobs of that by themselves.
func (b *Batch) worthAsking(repository string, d digest.Digest) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.lacking[repository] || b.there[place{repository, d}]
}
