package upload

import (
	"context"
	"io"
	"sync"
)

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
