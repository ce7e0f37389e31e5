package wire

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// dripping is a body of which a blank comes now and then, for ever.
type dripping struct{ closed atomic.Bool }

func (d *dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // of the test's own clock
	if d.closed.Load() {
		return 0, net.ErrClosed
	}
	return copy(p, " "), nil
}

func (d *dripping) Close() error {
	d.closed.Store(true)
	return nil
}

var _ io.ReadCloser = (*dripping)(nil)

// A token ends in a bounded time, although the connection never stalls.
func TestDrippingTokenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := (&authorizer{now: time.Now}).read(new(dripping))
		if took := time.Since(start); !errors.Is(err, registry.ErrStalled) || took > tokenTimeout+time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
