// Package content is what can be sent again: the bytes of one blob, readable from
// an offset more than once while an upload goes on, though its source may give them
// only once. It knows no registry and makes no request.
//
// It takes a reader or what opens one, and gives readers and, in the end, digest and size.
// It touches memory and temporary files. Begin with content.go.
//
//   - content.go: what is known before, and what grows while it is read
//   - spool.go: all of it is kept, in memory and then in a file
//   - window.go: only the last bytes that passed are kept
//   - stored.go: nothing is kept, because the source can be opened again
//   - fill.go: a source is written into a [Spool] or a [Window], and compressed on
//     the way; verified.go: what is read is compared with its digest; sample.go: what
//     compressing it would save
package content

import (
	"context"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"
)

// Announced is what is known of content before it comes.
type Announced struct {
	// Digest is that of the content; empty if only the end tells. If it is known,
	// this package does not compute it, and the writer compares it.
	Digest digest.Digest
	// Size is how many bytes the source has, 0 where that is unknown. With a
	// digest they are those of the content.
	Size int64
}

// growing is content that one goroutine writes while others read it: what a
// [Spool] and a [Window] have in common.
type growing struct {
	announced Announced
	hash      digest.Digester // nil when the digest is known before
	consumed  atomic.Int64    // bytes read of the source; as many are compressed, or nearly so

	// mu guards the fields below; grown is signalled when they change.
	mu    sync.Mutex
	grown sync.Cond
	size  int64
	done  bool
	err   error // why writing ended early
	given bool  // up: nobody will read any more
}

func (g *growing) init(a Announced) {
	g.announced = a
	if a.Digest == "" {
		g.hash = digest.Canonical.Digester()
	}
	g.grown.L = &g.mu
}

// digestOf takes p into the digest, unless that is known before.
func (g *growing) digestOf(p []byte) {
	if g.hash != nil {
		_, _ = g.hash.Hash().Write(p) // a hash never fails
	}
}

// Consume tells that n more bytes of the source have been read.
func (g *growing) Consume(n int) { g.consumed.Add(int64(n)) }

// Finish ends the writing; err tells why when it ended early.
func (g *growing) Finish(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done, g.err = true, err
	g.grown.Broadcast()
}

// GiveUp lets a writer go that waits for a reader.
func (g *growing) GiveUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given = true
	g.grown.Broadcast()
}

// Complete gives digest and size: at once where they were announced, else when
// all is written.
func (g *growing) Complete() (digest.Digest, int64, bool) {
	if g.hash == nil {
		return g.announced.Digest, g.announced.Size, true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.done || g.err != nil {
		return "", 0, false
	}
	return g.hash.Digest(), g.size, true
}

// Progress gives how many bytes of the source have been read, and how many there
// will be of the content, if the rest of the source compresses as these; 0 where
// nothing can be said.
func (g *growing) Progress() (consumed, estimate int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	consumed = g.consumed.Load()
	if consumed == 0 || g.announced.Size == 0 {
		return consumed, 0
	}
	return consumed, int64(float64(g.size) / float64(consumed) * float64(max(consumed, g.announced.Size)))
}

// wait blocks until n bytes are there or writing has ended; it returns how
// many there are. never, which is called with mu held, says why they will not be
// there; it may be nil.
func (g *growing) wait(ctx context.Context, n int64, never func() error) (int64, error) {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.grown.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.size < n && !g.done {
		if err := ctx.Err(); err != nil {
			return g.size, err
		}
		if never != nil {
			if err := never(); err != nil {
				return g.size, err
			}
		}
		g.grown.Wait()
	}
	return g.size, g.err
}

// reader reads what grows, from an offset on, waiting for what is still to be
// written. readAt gives what is there at an offset, and waits for it; at the end it
// gives [io.EOF].
type reader struct {
	ctx    context.Context //nolint:containedctx // a reader lives as long as the request it is the body of
	readAt func(ctx context.Context, p []byte, offset int64) (int, error)
	offset int64
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.readAt(r.ctx, p, r.offset)
	r.offset += int64(n)
	return n, err
}

func (r *reader) Close() error { return nil }
