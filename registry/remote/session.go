package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

// session is what the cache remembers of an upload, so that the next process
// goes on where this one was killed. While a process has hold of it, no other
// one gets it. A nil session remembers nothing.
type session struct {
	cache *Cache
	key   string
	// lock is held from the first use on; the kernel gives it back for a
	// process that dies.
	lock *flock.Flock
	kept sessionEntry
}

// sessionEntry says where an upload goes on. Its location may hold a secret of
// the registry's that lets anybody go on with the upload: only the user reads
// the file. It never holds a credential.
type sessionEntry struct {
	Location string `json:"location"`
	Offset   int64  `json:"offset"`
}

// minSession is the content from which remembering its session pays: what is
// shorter is sent again as quickly as it is asked about.
const minSession = spoolMemory

// session returns the session of an upload of content to a repository of host,
// or nil where another process has hold of it. content and size say what is
// being sent; of what will only be known at the end, they say of what it is
// made.
func (c *Cache) session(host, repository, content string, size int64) *session {
	if c == nil || c.dir == "" || content == "" || size >= 0 && size < minSession {
		return nil
	}
	s := &session{cache: c, key: digest.FromString(fmt.Sprintf("%s %s %s %d", host, repository, content, size)).Encoded()}
	if c.read(&s.kept, "sessions", s.key) && (!s.take() || !c.read(&s.kept, "sessions", s.key)) {
		s.release()
		return nil
	}
	return s
}

// take gets hold of the session and reports whether no other process has.
func (s *session) take() bool {
	if s.lock != nil {
		return true
	}
	dir := filepath.Join(s.cache.dir, "sessions")
	if ownfile.MkdirAll(dir, 0o700) != nil {
		return false
	}
	lock := flock.New(filepath.Join(dir, s.key+".lock"), flock.SetPermissions(0o600))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return false
	}
	_ = ownfile.Adopt(lock.Path()) // else the user whose cache it is begins anew
	s.lock = lock
	return true
}

// known is where the upload can go on: at an address below /v2/ of the registry
// at e.
func (s *session) known(e endpoint.Endpoint) (sessionEntry, bool) {
	if s == nil || s.kept.Offset < 0 || !e.OwnsUpload(s.kept.Location) {
		return sessionEntry{}, false
	}
	return s.kept, true
}

// keep remembers where the upload u is, before more is sent.
func (s *session) keep(e endpoint.Endpoint, u upload) error {
	entry := sessionEntry{Location: u.location, Offset: u.offset}
	if s == nil || entry == s.kept || !e.OwnsUpload(u.location) || !s.take() {
		return nil
	}
	s.kept = entry
	return s.cache.write(entry, "sessions", s.key)
}

// forget removes what is remembered.
func (s *session) forget() error {
	if s == nil || s.kept == (sessionEntry{}) {
		return nil
	}
	s.kept = sessionEntry{}
	return removeFile(filepath.Join(s.cache.dir, "sessions", s.key))
}

// release lets other processes have the session. Two of them may then meet
// over the lock's removal and both go on with the upload; the registry refuses
// one of them, and compares the digest.
func (s *session) release() {
	if s == nil || s.lock == nil {
		return
	}
	_ = os.Remove(s.lock.Path()) // Windows refuses while another process looks
	_ = s.lock.Unlock()
	s.lock = nil
}

// outlasts reports whether an upload that ended with err should go on in
// another process: the network failed, or the server did, or a time limit was
// reached. A user's interrupt is none of these, nor is a failure for good.
func outlasts(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		err = context.Cause(ctx) // that of another blob, perhaps
	}
	return errors.Is(err, context.DeadlineExceeded) || registry.Temporary(err)
}
