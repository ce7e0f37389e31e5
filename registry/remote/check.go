package remote

import (
	"context"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/check"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Health implements [registry.RegistryClient]: the first of the checks that fails, as
// far as they concern no owner. Without a credential, the registry's asking
// for one counts as good health.
func (c *Client) Health(ctx context.Context) error { return check.Health(ctx, c.env()) }

// Check looks at everything between this machine and the registry, from the
// name to the right to push, in the order in which each needs the one before
// it; it ends with the first that fails. repository is what somebody wants to
// push to, as "owner" or "owner/name"; empty leaves the last checks out. An
// upload is begun and taken back; nothing is left on the server.
func (c *Client) Check(ctx context.Context, repository string) []registry.Check {
	return check.All(ctx, c.env(), repository)
}

func (c *Client) env() check.Env {
	connect := func(ctx context.Context) (*wire.Conn, error) { return c.conn(ctx, false, nil) }
	return check.Env{Host: c.Host(), Connect: connect, OwnTransport: c.opts.Transport != nil}
}
