package cache

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

// Session is what the cache remembers of an upload, so that the next process
// goes on where this one was killed. While a process has hold of it, no other
// one gets it. A nil session remembers nothing.
type Session struct {
	cache *Cache
	key   string
	// lock is held from the first use on; the kernel gives it back for a
	// process that dies.
	lock *flock.Flock
	kept Entry
}

// Entry says where an upload goes on. Its location may hold a secret of
// the registry's that lets anybody go on with the upload: only the user reads
// the file. It never holds a credential.
type Entry struct {
	Location string `json:"location"`
	Offset   int64  `json:"offset"`
}

// minSession is the content from which remembering its session pays: what is
// shorter is sent again as quickly as it is asked about.
const minSession = 4 << 20

// Session returns the session of an upload of content to a repository of host,
// or nil where another process has hold of it. content and size say what is
// being sent; of what will only be known at the end, they say of what it is
// made.
func (c *Cache) Session(host, repository, content string, size int64) *Session {
	if c == nil || c.dir == "" || content == "" || size >= 0 && size < minSession {
		return nil
	}
	s := &Session{cache: c, key: digest.FromString(fmt.Sprintf("%s %s %s %d", host, repository, content, size)).Encoded()}
	if c.read(&s.kept, "sessions", s.key) && (!s.take() || !c.read(&s.kept, "sessions", s.key)) {
		s.Release()
		return nil
	}
	return s
}

// take gets hold of the session and reports whether no other process has.
func (s *Session) take() bool {
	if s.lock != nil {
		return true
	}
	dir := filepath.Join(s.cache.dir, "sessions")
	if ownfile.MkdirAll(dir, 0o700) != nil {
		return false
	}
	lock := flock.New(filepath.Join(dir, s.key+".lock"), flock.SetFlag(os.O_RDONLY))
	if ownfile.Make(lock.Path(), 0o600) != nil {
		return false
	}
	if locked, err := lock.TryLock(); err != nil || !locked {
		return false
	}
	s.lock = lock
	return true
}

// Known is where the upload can go on: at an address below /v2/ of the registry
// at e.
func (s *Session) Known(e endpoint.Endpoint) (Entry, bool) {
	if s == nil || s.kept.Offset < 0 || !e.OwnsUpload(s.kept.Location) {
		return Entry{}, false
	}
	return s.kept, true
}

// Keep remembers where the upload is, before more is sent.
func (s *Session) Keep(e endpoint.Endpoint, entry Entry) {
	if s == nil || entry == s.kept || !e.OwnsUpload(entry.Location) || !s.take() {
		return
	}
	s.kept = entry
	s.cache.write(entry, "sessions", s.key)
}

// Forget removes what is remembered.
func (s *Session) Forget() {
	if s == nil || s.kept == (Entry{}) {
		return
	}
	s.kept = Entry{}
	s.cache.failed("remove session", ownfile.Remove(filepath.Join(s.cache.dir, "sessions", s.key)))
}

// Release lets other processes have the session. Two of them may then meet
// over the lock's removal and both go on with the upload; the registry refuses
// one of them, and compares the digest.
func (s *Session) Release() {
	if s == nil || s.lock == nil {
		return
	}
	_ = os.Remove(s.lock.Path()) // Windows refuses while another process looks
	_ = s.lock.Unlock()
	s.lock = nil
}
