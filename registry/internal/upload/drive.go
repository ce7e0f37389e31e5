package upload

import (
	"context"
	"fmt"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// attempt performs u.step; it is the driver's only way to the registry.
type attempt func(ctx context.Context, u upload) outcome

// drive takes u to its end. report is called before each new try; most wait.
func drive(ctx context.Context, u upload, do attempt, delay func(n int) time.Duration, report func(u upload, wait time.Duration)) (upload, error) {
	var wait time.Duration
	for {
		switch u.step {
		case stepDone:
			return u, nil
		case stepFailed:
			return u, u.err
		case stepSingle, stepStart, stepStream, stepChunk, stepCommit, stepQuery, stepVerify, stepAbandon:
		}
		if err := wire.Pause(ctx, wait); err != nil {
			return u, err
		}
		o := do(ctx, u)
		if err := ctx.Err(); err != nil {
			if o.err == nil {
				u = u.next(o) // it may have begun a session
			}
			return u, err
		}
		tries := u.tries
		if u = u.next(o); u.step == stepFailed && u.err == nil {
			u.err = fmt.Errorf("unexpected answer %d", o.status)
		}
		if wait = u.wait; wait == backoff {
			wait = delay(u.failures)
		}
		if u.tries > tries && u.step != stepFailed {
			report(u, wait)
		}
	}
}
