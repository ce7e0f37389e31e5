package upload

import (
	"context"
	"io"
	"sync"
	"time"
)

// Rate bounds how many bytes of blobs go out in a second, over all uploads that
// share it. It is safe for concurrent use; nil bounds nothing.
type Rate struct {
	perSecond int64

	// mu guards free: when all that was taken has gone out at the rate.
	mu   sync.Mutex
	free time.Time
}

// NewRate makes a rate of at least one byte per second.
func NewRate(perSecond int64) *Rate { return &Rate{perSecond: max(perSecond, 1)} }

// pieces is how many pieces go out in a second: so many that something moves all the
// time, for those who wait for a silence.
const pieces = 10

// take waits until n bytes more may have gone out. It ends early with ctx, of which
// others tell.
func (r *Rate) take(ctx context.Context, n int) {
	r.mu.Lock()
	// A wait that was too long is made up for, but not a pause.
	if earliest := time.Now().Add(-time.Second / pieces); r.free.Before(earliest) {
		r.free = earliest
	}
	r.free = r.free.Add(time.Duration(n) * time.Second / time.Duration(r.perSecond))
	wait := time.Until(r.free)
	r.mu.Unlock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// reader reads no faster from r than the rate allows.
func (r *Rate) reader(ctx context.Context, from io.ReadCloser) io.ReadCloser {
	if r == nil {
		return from
	}
	return &paced{ReadCloser: from, ctx: ctx, rate: r}
}

// paced is a body at a rate.
type paced struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // of one request
	rate *Rate
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b[:min(int64(len(b)), max(p.rate.perSecond/pieces, 1))])
	p.rate.take(p.ctx, n)
	return n, err
}
