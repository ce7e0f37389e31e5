package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// Memory is how much of a blob is kept in memory, in bytes. A blob that fits is
// best sent in one request, with its digest known; a longer one while it is still
// being made.
const Memory = 4 << 20

// Spool keeps all of what can be read only once, until the registry has it: first
// in memory, then, past [Memory], in a temporary file that has no name. One
// goroutine writes; any number read, from any offset, also while it is being
// written.
type Spool struct {
	growing
	limit int64  // bytes in memory
	dir   string // of the temporary file; empty means the system's

	// mem and file are guarded by mu.
	mem  []byte
	file *os.File
}

// NewSpool makes a spool. The caller closes it.
func NewSpool(a Announced) *Spool { return newSpool(a, Memory) }

func newSpool(a Announced, limit int64) *Spool {
	s := &Spool{limit: limit, mem: make([]byte, 0, min(a.Size, limit))}
	s.init(a)
	return s
}

// Write appends p.
func (s *Spool) Write(p []byte) (int, error) {
	s.digestOf(p)
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
func (s *Spool) append(p []byte) error {
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
func (s *Spool) room(p []byte) (*os.File, error) {
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

// spill moves what is in memory into a file. mu is held.
func (s *Spool) spill() error {
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

// Wait blocks until n bytes are there or writing has ended; it returns how
// many there are.
func (s *Spool) Wait(ctx context.Context, n int64) (int64, error) { return s.wait(ctx, n, nil) }

// Reader reads from offset, waiting for what is still to be written.
func (s *Spool) Reader(ctx context.Context, offset int64) io.ReadCloser {
	return &reader{ctx: ctx, readAt: s.readAt, offset: offset}
}

func (s *Spool) readAt(ctx context.Context, p []byte, offset int64) (int, error) {
	size, err := s.Wait(ctx, offset+1)
	switch {
	case err != nil:
		return 0, err
	case offset >= size:
		return 0, io.EOF
	}
	s.mu.Lock()
	p = p[:min(int64(len(p)), s.size-offset)]
	if file := s.file; file != nil {
		s.mu.Unlock()
		return file.ReadAt(p, offset)
	}
	defer s.mu.Unlock()
	return copy(p, s.mem[offset:]), nil
}

// Close frees memory and file. Nothing may read any longer.
func (s *Spool) Close() error {
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
