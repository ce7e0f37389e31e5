package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// spool keeps what can be read only once, until the registry has it: first in
// memory, then, past a limit, in a temporary file that has no name. One
// goroutine writes; any number read, from any offset, also while it is being
// written. One that is passing has no file: past the limit it forgets what was
// read, and its writer waits for the reader.
type spool struct {
	limit   int64  // bytes in memory
	dir     string // of the temporary file; empty means the system's
	passing bool

	raw     atomic.Int64 // bytes read of the source; as many are compressed, or nearly so
	rawSize int64        // how many there will be, 0 where that is unknown

	hash   digest.Digester // nil when the digest is known before
	diffID digest.Digest   // of the raw bytes, set by who compressed them before finish
	begins digest.Digest   // of the first raw bytes, likewise; see beginningSize

	// mu guards the fields below; grown is signalled when they change.
	mu    sync.Mutex
	grown sync.Cond
	mem   []byte // of a passing spool a ring: offset n is at n%limit
	file  *os.File
	size  int64
	done  bool
	err   error // why writing ended early
	base  int64 // what is before it is forgotten
	taken int64 // how far it was read
	given bool  // up: nobody will read any more
}

// errPassed is why a passing spool cannot be read once more.
var errPassed = errors.New("what was sent is not kept")

func newSpool(limit int64) *spool {
	s := &spool{limit: limit, hash: digest.Canonical.Digester()}
	s.grown.L = &s.mu
	return s
}

// passingMemory is how much a passing spool has of a long blob whose size is
// known. It only has to keep reader and writer apart: on most failures all that
// was sent is needed again.
const passingMemory = 512 << 10

// newPassing makes a spool that is passing, for size bytes; -1 is unknown.
func newPassing(size int64) *spool {
	limit := int64(spoolMemory + awaitStep)
	switch {
	case size > spoolMemory:
		limit = passingMemory
	case size >= 0:
		limit = max(size, 1)
	}
	s := newSpool(limit)
	s.passing = true
	return s
}

// expect prepares for size raw bytes; 0 is unknown.
func (s *spool) expect(size int64) {
	s.rawSize = size
	s.mem = make([]byte, 0, min(size, s.limit))
}

// Write appends p.
func (s *spool) Write(p []byte) (int, error) {
	if s.hash != nil {
		_, _ = s.hash.Hash().Write(p) // a hash never fails
	}
	if s.passing {
		return len(p), s.pass(p)
	}
	if err := s.append(p); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size += int64(len(p))
	s.grown.Broadcast()
	return len(p), nil
}

// append stores p behind what there is. Readers see no more than size, so
// only memory, which moves, needs the lock.
func (s *spool) append(p []byte) error {
	file, err := s.room(p)
	if err != nil || file == nil {
		return err
	}
	if _, err := file.WriteAt(p, s.size); err != nil { // only the writer changes size
		return fmt.Errorf("keep layer in temporary file: %w", err)
	}
	return nil
}

// pass takes p into memory, in the place of what was read first.
func (s *spool) pass(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(p) > 0 {
		s.base = max(s.base, min(s.taken, s.size+int64(len(p))-s.limit))
		n := min(int64(len(p)), s.base+s.limit-s.size)
		switch {
		case n == 0 && s.given:
			return errPassed
		case n == 0:
			s.grown.Wait()
			continue
		}
		s.put(p[:n])
		p = p[n:]
	}
	return nil
}

// put takes p into the ring, where there is room for it. s.mu is held.
func (s *spool) put(p []byte) {
	for len(p) > 0 {
		var n int
		if at := s.size % s.limit; at < int64(len(s.mem)) {
			n = copy(s.mem[at:], p)
		} else {
			n = int(min(s.limit-at, int64(len(p))))
			s.mem = append(s.mem, p[:n]...)
		}
		s.size += int64(n)
		p = p[n:]
	}
	s.grown.Broadcast()
}

// giveUp lets a writer go that waits for a reader.
func (s *spool) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = true
	s.grown.Broadcast()
}

// room takes p into memory, or returns the file where it has to go.
func (s *spool) room(p []byte) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil && s.size+int64(len(p)) <= s.limit {
		s.mem = append(s.mem, p...)
		return nil, nil
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	return s.file, nil
}

// spill moves what is in memory into a file.
func (s *spool) spill() error {
	file, err := os.CreateTemp(s.dir, "docker-gitea-*")
	if err != nil {
		return fmt.Errorf("keep layer in temporary file: %w", err)
	}
	_ = os.Remove(file.Name()) // Windows refuses; Close removes it there
	if _, err := file.Write(s.mem); err != nil {
		return fmt.Errorf("keep layer in temporary file: %w", errors.Join(err, file.Close(), ownfile.Remove(file.Name())))
	}
	s.file, s.mem = file, nil
	return nil
}

// finish ends the writing; err tells why when it ended early.
func (s *spool) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.err = true, err
	s.grown.Broadcast()
}

// complete gives digest and size once all is written.
func (s *spool) complete() (digest.Digest, int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done || s.err != nil {
		return "", 0, false
	}
	return s.hash.Digest(), s.size, true
}

// estimate is how many bytes there will be, if the rest of the source
// compresses as what has been read of it; 0 where nothing can be said.
func (s *spool) estimate() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw := s.raw.Load()
	if raw == 0 || s.rawSize == 0 {
		return 0
	}
	return int64(float64(s.size) / float64(raw) * float64(max(raw, s.rawSize)))
}

// wait blocks until n bytes are there or writing has ended; it returns how
// many there are. A passing spool never has more at a time than its limit.
func (s *spool) wait(ctx context.Context, n int64) (int64, error) {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.grown.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.size < n && !s.done {
		if err := ctx.Err(); err != nil {
			return s.size, err
		}
		if s.passing && n > s.taken+s.limit {
			return s.size, errPassed
		}
		s.grown.Wait()
	}
	return s.size, s.err
}

// readAt copies bytes that are already there.
func (s *spool) readAt(p []byte, offset int64) (int, error) {
	s.mu.Lock()
	if offset < s.base {
		s.mu.Unlock()
		return 0, errPassed
	}
	if available := s.size - offset; int64(len(p)) > available {
		p = p[:available]
	}
	if file := s.file; file != nil {
		s.mu.Unlock()
		return file.ReadAt(p, offset)
	}
	defer s.mu.Unlock()
	n := copy(p, s.mem[offset%s.limit:])
	return n + copy(p[n:], s.mem), nil // the rest is at the ring's beginning
}

// take tells that what is before offset has been read, or will not be.
func (s *spool) take(offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if offset > s.taken {
		s.taken = offset
		s.grown.Broadcast()
	}
}

// reader reads from offset, waiting for what is still to be written.
func (s *spool) reader(ctx context.Context, offset int64) io.ReadCloser {
	return &spoolReader{ctx: ctx, spool: s, offset: offset}
}

type spoolReader struct {
	ctx    context.Context //nolint:containedctx // a reader lives as long as the request it is the body of
	spool  *spool
	offset int64
}

func (r *spoolReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.spool.take(r.offset)
	size, err := r.spool.wait(r.ctx, r.offset+1)
	if err != nil {
		return 0, err
	}
	if r.offset >= size {
		return 0, io.EOF
	}
	n, err := r.spool.readAt(p, r.offset)
	r.offset += int64(n)
	return n, err
}

func (r *spoolReader) Close() error { return nil }

// Close frees memory and file. Nothing may read any longer.
func (s *spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mem = nil
	if s.file == nil {
		return nil
	}
	file := s.file
	s.file = nil
	return errors.Join(file.Close(), ownfile.Remove(file.Name()))
}
