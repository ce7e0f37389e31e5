package content

import (
	"context"
	"errors"
	"io"
)

// Window has the last bytes of what passes, in memory alone: past its size it
// forgets what was read first, and its writer waits for the reader. One goroutine
// writes and one reads.
type Window struct {
	growing
	limit int64

	// The fields below are guarded by mu.
	ring  []byte // offset n is at n%limit
	base  int64  // what is before it is forgotten
	taken int64  // how far it was read
}

// ErrPassed is why a [Window] cannot be read once more.
var ErrPassed = errors.New("what was sent is not kept")

const (
	// windowMargin is what a window has beyond [Memory], so that one can wait for
	// more than that and learn that there is more.
	windowMargin = 256 << 10
	// longWindow is how much a window has of a long blob whose size is known. It
	// only has to keep reader and writer apart: on most failures all that was sent
	// is needed again.
	longWindow = 512 << 10
)

// NewWindow makes a window.
func NewWindow(a Announced) *Window {
	limit := int64(Memory + windowMargin)
	switch {
	case a.Digest == "":
	case a.Size > Memory:
		limit = longWindow
	default:
		limit = max(a.Size, 1)
	}
	return newWindow(a, limit)
}

func newWindow(a Announced, limit int64) *Window {
	w := &Window{limit: limit, ring: make([]byte, 0, min(a.Size, limit))}
	w.init(a)
	return w
}

// Write takes p into memory, in the place of the oldest bytes.
func (w *Window) Write(p []byte) (int, error) {
	w.digestOf(p)
	n := len(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(p) > 0 {
		w.base = max(w.base, min(w.taken, w.size+int64(len(p))-w.limit))
		room := min(int64(len(p)), w.base+w.limit-w.size)
		switch {
		case room == 0 && w.given:
			return n, ErrPassed
		case room == 0:
			w.grown.Wait()
			continue
		}
		w.put(p[:room])
		p = p[room:]
	}
	return n, nil
}

// put takes p into the ring, where there is room for it. mu is held.
func (w *Window) put(p []byte) {
	for len(p) > 0 {
		var n int
		if at := w.size % w.limit; at < int64(len(w.ring)) {
			n = copy(w.ring[at:], p)
		} else {
			n = int(min(w.limit-at, int64(len(p))))
			w.ring = append(w.ring, p[:n]...)
		}
		w.size += int64(n)
		p = p[n:]
	}
	w.grown.Broadcast()
}

// Wait blocks until n bytes are there or writing has ended; it returns how
// many there are. There are never more at a time than the window has:
// [ErrPassed] of others.
func (w *Window) Wait(ctx context.Context, n int64) (int64, error) {
	return w.wait(ctx, n, func() error {
		if n > w.taken+w.limit {
			return ErrPassed
		}
		return nil
	})
}

// Reader reads from offset, waiting for what is still to be written. What was
// read may be forgotten.
func (w *Window) Reader(ctx context.Context, offset int64) io.ReadCloser {
	return &reader{ctx: ctx, readAt: w.readAt, offset: offset}
}

func (w *Window) readAt(ctx context.Context, p []byte, offset int64) (int, error) {
	w.take(offset)
	size, err := w.Wait(ctx, offset+1)
	switch {
	case err != nil:
		return 0, err
	case offset >= size:
		return 0, io.EOF
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if offset < w.base {
		return 0, ErrPassed
	}
	p = p[:min(int64(len(p)), w.size-offset)]
	n := copy(p, w.ring[offset%w.limit:])
	return n + copy(p[n:], w.ring), nil // the rest is at the ring's beginning
}

// take tells that what is before offset has been read, or will not be.
func (w *Window) take(offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if offset > w.taken {
		w.taken = offset
		w.grown.Broadcast()
	}
}

// Close frees the memory. Nothing may read any longer.
func (w *Window) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring = nil
	return nil
}
