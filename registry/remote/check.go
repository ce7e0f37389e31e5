package remote

import (
	"context"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/check"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Health implements [registry.RegistryClient]. It returns the first failure of the
// checks that concern no owner. Without a credential, a registry that asks for one is
// in good health.
func (c *Client) Health(ctx context.Context) error { return check.Health(ctx, c.env()) }

// Check looks at everything between this machine and the registry, from the
// name to the right to push. Each check needs the one before it, and the first
// that fails is the last. repository is what somebody wants to push to, as
// "owner" or "owner/name"; if it is empty, the last checks are left out. Check
// begins an upload and cancels it, and leaves nothing on the server.
func (c *Client) Check(ctx context.Context, repository string) []registry.Check {
	return check.All(ctx, c.env(), repository)
}

func (c *Client) env() check.Env {
	connect := func(ctx context.Context) (*wire.Conn, error) { return c.conn(ctx, false, nil) }
	return check.Env{Host: c.Host(), Connect: connect, OwnTransport: c.opts.Transport != nil}
}
