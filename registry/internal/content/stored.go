package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Stored is the content of a blob that can be opened again and again.
type Stored struct {
	// Open gives the blob from its beginning.
	Open func() (io.ReadCloser, error)
	// Digest and Size are those of the blob.
	Digest digest.Digest
	Size   int64

	// mu guards the fields below: a reader left at pos by the last chunk.
	mu   sync.Mutex
	rest io.ReadCloser
	pos  int64
}

// Complete gives digest and size.
func (s *Stored) Complete() (digest.Digest, int64, bool) { return s.Digest, s.Size, true }

// Wait tells at once how many of n bytes there are.
func (s *Stored) Wait(_ context.Context, n int64) (int64, error) { return min(n, s.Size), nil }

// Progress tells nothing of the source, and all of the content.
func (s *Stored) Progress() (consumed, estimate int64) { return 0, s.Size }

// Reader reads from offset to the end.
func (s *Stored) Reader(_ context.Context, offset int64) io.ReadCloser {
	return &storedReader{stored: s, pos: offset}
}

// take hands over the reader that is at offset, or opens one there.
func (s *Stored) take(offset int64) (io.ReadCloser, error) {
	s.mu.Lock()
	rest, pos := s.rest, s.pos
	s.rest = nil
	s.mu.Unlock()
	if rest != nil && pos == offset {
		return rest, nil
	}
	if rest != nil {
		_ = rest.Close() // it was only read
	}
	r, err := s.Open()
	if err != nil {
		return nil, sourceError(err)
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		return nil, sourceError(errors.Join(err, r.Close()))
	}
	return r, nil
}

// leave keeps a reader for the next chunk.
func (s *Stored) leave(r io.ReadCloser, pos int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest != nil || pos >= s.Size {
		return r.Close()
	}
	s.rest, s.pos = r, pos
	return nil
}

// Close closes the reader that was left.
func (s *Stored) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest == nil {
		return nil
	}
	r := s.rest
	s.rest = nil
	return r.Close()
}

// storedReader opens its blob when it is first read: many request bodies are
// never read because the registry has the blob.
type storedReader struct {
	stored *Stored
	pos    int64
	r      io.ReadCloser
}

func (r *storedReader) Read(p []byte) (int, error) {
	if r.r == nil {
		opened, err := r.stored.take(r.pos)
		if err != nil {
			return 0, err
		}
		r.r = opened
	}
	n, err := r.r.Read(p)
	r.pos += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = sourceError(err)
	}
	return n, err
}

// sourceError marks a failure as one of the source, at which no other try helps,
// unless it is one of the registry that a layer is read back from.
func sourceError(err error) error {
	if errors.Is(err, ErrReadBack) {
		return err
	}
	return fmt.Errorf("%w: %w", registry.ErrSource, err)
}

func (r *storedReader) Close() error {
	if r.r == nil {
		return nil
	}
	opened := r.r
	r.r = nil
	return r.stored.leave(opened, r.pos)
}

// ErrReadBack marks a failure of the registry that a layer is read back from, which
// is none of the source.
var ErrReadBack = errors.New("read the layer back")
