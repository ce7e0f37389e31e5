package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
)

// content is what is sent for one blob. It can be read from any offset as
// often as it takes.
type content interface {
	// complete gives digest and size, as soon as they are known.
	complete() (digest.Digest, int64, bool)
	// wait blocks until n bytes can be read, or all that there are, and
	// returns how many that is.
	wait(ctx context.Context, n int64) (int64, error)
	// reader reads from offset to the end, as that comes into being.
	reader(ctx context.Context, offset int64) io.ReadCloser
}

// stored is the content of a blob that can be opened again and again.
type stored struct {
	open   func() (io.ReadCloser, error)
	digest digest.Digest
	size   int64

	// mu guards the fields below: a reader left at pos by the last chunk.
	mu   sync.Mutex
	rest io.ReadCloser
	pos  int64
}

func (s *stored) complete() (digest.Digest, int64, bool) { return s.digest, s.size, true }

func (s *stored) wait(_ context.Context, n int64) (int64, error) { return min(n, s.size), nil }

func (s *stored) reader(_ context.Context, offset int64) io.ReadCloser {
	return &storedReader{stored: s, pos: offset}
}

// take hands over the reader that is at offset, or opens one there.
func (s *stored) take(offset int64) (io.ReadCloser, error) {
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
	r, err := s.open()
	if err != nil {
		return nil, sourceError(err)
	}
	if _, err := io.CopyN(io.Discard, r, offset); err != nil {
		return nil, sourceError(errors.Join(err, r.Close()))
	}
	return r, nil
}

// leave keeps a reader for the next chunk.
func (s *stored) leave(r io.ReadCloser, pos int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rest != nil || pos >= s.size {
		return r.Close()
	}
	s.rest, s.pos = r, pos
	return nil
}

// Close closes the reader that was left.
func (s *stored) Close() error {
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
	stored *stored
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
	if errors.Is(err, errReadBack) {
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

// expected is a spool whose digest and size are known before it is full.
type expected struct {
	*spool
	digest digest.Digest
	size   int64
}

func (e *expected) complete() (digest.Digest, int64, bool) { return e.digest, e.size, true }

// body is a request body that counts what is read from it and tells when the
// transport has let go of it: only then may its content be used again or
// freed. net/http closes every body, but not always before RoundTrip returns.
type body struct {
	io.Reader
	ctx      context.Context //nolint:containedctx // of the push, which may end before the request
	left     int64           // bytes to come, -1 where that is not known
	source   io.Closer
	read     func(n int)
	once     sync.Once
	released chan struct{}
}

func newBody(ctx context.Context, source io.ReadCloser, length, limit int64, read func(n int)) *body {
	b := &body{Reader: source, ctx: ctx, left: length, source: source, read: read, released: make(chan struct{})}
	if limit >= 0 {
		b.Reader = io.LimitReader(source, limit)
	}
	return b
}

// nearlyAll is how much of a body is sent to its end although the push has
// ended. Cut off there it would save nothing, and its session could not be
// removed: the answer with the address that distribution wants is lost.
const nearlyAll = 64 << 10

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil && (b.left < 0 || b.left > nearlyAll) {
		return 0, err
	}
	n, err := b.Reader.Read(p)
	if b.left >= 0 {
		b.left -= int64(n)
	}
	b.read(n)
	return n, err
}

func (b *body) Close() error {
	var err error
	b.once.Do(func() {
		err = b.source.Close()
		close(b.released)
	})
	return err
}
