package relay

import (
	"sync"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// uploadState is how far an upload of the daemon's has come.
type uploadState int

const (
	// uploadOpen: nothing was sent yet.
	uploadOpen uploadState = iota + 1
	// uploadPassed: the registry has it.
	uploadPassed
	// uploadBroken: it was broken off, for its beginning is enough.
	uploadBroken
	// uploadDropped: the registry did not get everything of it.
	uploadDropped
)

// upload is one of the daemon's uploads.
type upload struct {
	state uploadState
	sent  image.Sent // with uploadPassed
}

// digest is what the upload is named by at its end, where the daemon says d: its
// content's, or, where that was not all read, whatever the daemon says.
func (u upload) digest(d digest.Digest) digest.Digest {
	if u.state == uploadPassed {
		return u.sent.Digest
	}
	return d
}

// uploads are those that have begun and not ended, by name. They are safe for
// concurrent use.
type uploads struct {
	// mu guards the fields below.
	mu    sync.Mutex
	of    map[string]upload
	named int // how many names of blobs without a digest were given
}

func (u *uploads) get(id string) (upload, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one, known := u.of[id]
	return one, known
}

func (u *uploads) set(id string, one upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.of[id] = one
}

func (u *uploads) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.of, id)
}

// next numbers the blobs that nothing is known of beforehand.
func (u *uploads) next() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.named++
	return u.named
}

// blob is what is known of a digest that the daemon uses. One may be all of these
// at once: a stand-in may have the digest that the whole layer has.
type blob struct {
	// told: the user was told of it.
	told bool
	// before: it was sent by another push, to whichever repository.
	before bool
	// lost: the daemon has sent it, but the registry lacks it.
	lost bool
	// standIn: it is of the beginning of a layer.
	standIn bool
	// whole: the daemon has sent it whole. size and begins are then known; begins
	// is empty for what is no layer of a classic store.
	whole  bool
	size   int64
	begins digest.Digest
	// document is its content, if that is small and may be a config.
	document []byte
}

// digests is what is known of each. It is safe for concurrent use.
type digests struct {
	// mu guards the field below.
	mu sync.Mutex
	of map[digest.Digest]blob
}

func (s *digests) get(d digest.Digest) blob {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[d]
}

// change changes what is known of a digest, and returns what it was before.
func (s *digests) change(d digest.Digest, change func(b *blob)) (before blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.of[d]
	b := before
	change(&b)
	s.of[d] = b
	return before
}

// takeLost reports whether any is lost, and counts on each being sent again.
func (s *digests) takeLost() (found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, b := range s.of {
		if b.lost {
			found, b.lost = true, false
			s.of[d] = b
		}
	}
	return found
}
