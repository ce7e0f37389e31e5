package upload

import (
	"context"
	"fmt"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// attempt performs u.step; it is the driver's only way to the registry.
type attempt func(ctx context.Context, u upload) outcome

// patience is what happens between a step that failed and the next.
type patience interface {
	// retrying tells of a new try, and of the wait before.
	retrying(u upload, wait time.Duration)
	// turn waits, after that, for others.
	turn(ctx context.Context) error
}

// after is next, with an error where it ends without success.
func (u upload) after(o outcome) upload {
	if u = u.next(o); u.step == stepFailed && u.err == nil {
		u.err = fmt.Errorf("unexpected answer %d", o.status)
	}
	return u
}

// drive takes u to its end.
func drive(ctx context.Context, u upload, do attempt, delay func(n int) time.Duration, p patience) (upload, error) {
	var wait time.Duration
	again := false
	for {
		switch u.step {
		case stepDone:
			return u, nil
		case stepFailed:
			return u, u.err
		case stepSingle, stepStart, stepStream, stepChunk, stepCommit, stepQuery, stepVerify, stepAbandon:
		}
		err := wire.Pause(ctx, wait)
		if err == nil && again {
			err = p.turn(ctx)
		}
		if err != nil {
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
		u = u.after(o)
		if wait = u.wait; wait == backoff {
			wait = delay(u.failures)
		}
		if again = u.tries > tries && u.step != stepFailed; again {
			p.retrying(u, wait)
		}
	}
}
