package hostile

import (
	"net"
	"sync/atomic"
	"time"
)

// Dripping is the body of an answer: one blank each second, for ever. It is for tests
// with a clock of their own (testing/synctest).
type Dripping struct{ closed atomic.Bool }

// Read implements [io.Reader].
func (d *Dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Second) //nolint:forbidigo // a Read has no context
	if d.closed.Load() {
		return 0, net.ErrClosed
	}
	return copy(p, " "), nil
}

// Close implements [io.Closer].
func (d *Dripping) Close() error {
	d.closed.Store(true)
	return nil
}
