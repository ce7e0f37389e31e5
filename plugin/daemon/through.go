package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// untagTimeout bounds giving and removing a temporary name after an interruption.
const untagTimeout = 10 * time.Second

// ErrUnreached says that the daemon is in a virtual machine, rootless, or on
// another machine.
var ErrUnreached = errors.New("it does not reach 127.0.0.1 of this machine, being in another network")

// PushThrough has the daemon push an image to a loopback port, under a name that
// exists only meanwhile. platform is that of [Client.Save], containerd that of
// [Info.Containerd].
//
// The containerd store needs the name no more when it begins to send: it has looked
// the image up by then (moby, daemon/containerd/image_push.go). Told that the
// image arrived, it would label each blob with the loopback repository, which
// "docker image inspect" shows from then on. The classic store gives the image
// one more name when it has sent it.
func (c *Client) PushThrough(ctx context.Context, id, platform string, containerd bool, to registry.Loopback) (err error) {
	host, _, _ := strings.Cut(to.Repository, "/")
	untag := sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untagTimeout)
		defer cancel()
		return c.Untag(ctx, to.Repository+":"+to.Tag)
	})
	defer func() { err = errors.Join(err, untag()) }()
	if err := c.tagForPush(ctx, id, to); err != nil {
		return err
	}
	pushed := make(chan struct{})
	defer close(pushed)
	if containerd {
		to.Refuse()
		go func() {
			select {
			case <-to.Reached:
				_ = untag() // whoever waits for it gets the error
			case <-pushed:
			}
		}()
	}
	err = c.push(ctx, to.Repository, to.Tag, platform,
		Auth{Username: to.Username, Password: to.Password, Server: host})
	if containerd && to.Sent() {
		return nil // err is that refusal
	}
	if err != nil && ctx.Err() == nil && !to.WasReached() {
		err = fmt.Errorf("%w: %w", ErrUnreached, err)
	}
	return err
}

// tagForPush gives an image the name of a push. A daemon gives it also where
// nobody waits for its answer any more, and maybe after it was asked to take it
// away: so the answer is waited for, however the push ends meanwhile.
func (c *Client) tagForPush(ctx context.Context, id string, to registry.Loopback) error {
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), untagTimeout)
	defer cancel()
	return errors.Join(c.tag(lasting, id, to.Repository, to.Tag), ctx.Err())
}
