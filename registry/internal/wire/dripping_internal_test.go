package wire

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
	"github.com/docker-gitea/docker-gitea/registry"
)

// A token ends in a bounded time, although the connection never stalls.
func TestDrippingTokenEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := (&authorizer{now: time.Now}).read(new(hostile.Dripping))
		if took := time.Since(start); !errors.Is(err, registry.ErrStalled) || took > tokenTimeout+time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
