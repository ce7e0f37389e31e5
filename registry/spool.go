package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"
)

// spool keeps what can be read only once, until the registry has it: first in
// memory, then, past a limit, in a temporary file that has no name. One
// goroutine writes; any number read, from any offset, also while it is being
// written.
type spool struct {
	limit int64  // bytes in memory
	dir   string // of the temporary file; empty means the system's

	raw     atomic.Int64 // bytes read of the source; as many are compressed, or nearly so
	rawSize int64        // how many there will be, 0 where that is unknown

	hash   digest.Digester // nil when the digest is known before
	diffID digest.Digest   // of the raw bytes, set by who compressed them before finish

	// mu guards the fields below; grown is signalled when they change.
	mu    sync.Mutex
	grown sync.Cond
	mem   []byte
	file  *os.File
	size  int64
	done  bool
	err   error // why writing ended early
}

func newSpool(limit int64) *spool {
	s := &spool{limit: limit, hash: digest.Canonical.Digester()}
	s.grown.L = &s.mu
	return s
}

// Write appends p.
func (s *spool) Write(p []byte) (int, error) {
	if err := s.append(p); err != nil {
		return 0, err
	}
	if s.hash != nil {
		_, _ = s.hash.Hash().Write(p) // a hash never fails
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
		return fmt.Errorf("keep layer in temporary file: %w", errors.Join(err, file.Close(), removeFile(file.Name())))
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
// many there are.
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
		s.grown.Wait()
	}
	return s.size, s.err
}

// readAt copies bytes that are already there.
func (s *spool) readAt(p []byte, offset int64) (int, error) {
	s.mu.Lock()
	if available := s.size - offset; int64(len(p)) > available {
		p = p[:available]
	}
	if file := s.file; file != nil {
		s.mu.Unlock()
		return file.ReadAt(p, offset)
	}
	defer s.mu.Unlock()
	return copy(p, s.mem[offset:]), nil
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
	return errors.Join(file.Close(), removeFile(file.Name()))
}

// removeFile removes a file that may be gone already.
func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
