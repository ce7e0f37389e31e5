package remote

import (
	"context"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Tag points tags of a repository at what one of its tags or a digest leads to:
// after the token, one request reads that and one sets each tag. Nothing else is
// looked at; what a tag pointed at before stays in the registry until that
// cleans up. repository may begin with the client's host.
//
// A tag is set to what was read. Where another client moves the first tag
// meanwhile, the new ones stay at what it was.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrUnauthorized], [registry.ErrDenied],
// [registry.ErrNameInvalid], and [registry.ErrBlobUnknown] where the registry has lost what the
// manifest names.
func (c *Client) Tag(ctx context.Context, repository, reference string, tags ...string) (registry.Result, error) {
	if len(tags) == 0 {
		return registry.Result{}, &registry.NameError{Fault: "no tag is given"}
	}
	return c.arrange(ctx, "tag", repository+":"+tags[0], registry.PushOptions{Tags: tags}, func(ctx context.Context, p *push) (image.Manifest, error) {
		return p.tag(ctx, reference)
	})
}

// arrange lets do point the tags of a push at a manifest of what registries have
// already. op is what errors call that.
func (c *Client) arrange(ctx context.Context, op, imageRef string, opts registry.PushOptions, do func(context.Context, *push) (image.Manifest, error)) (registry.Result, error) {
	start := time.Now()
	if err := opts.Validate(); err != nil {
		return registry.Result{}, err
	}
	ref, err := c.destination(imageRef)
	if err != nil {
		return registry.Result{}, err
	}
	p := c.newPush(ref, opts)
	ctx = wire.WithInfo(ctx, p.info)
	var root image.Manifest
	if p.conn, err = c.conn(ctx, false, wire.Introduce); err == nil {
		if err = p.settle(); err == nil {
			root, err = do(ctx, p)
		}
	}
	if err != nil {
		return registry.Result{}, p.failure(ctx, op, err)
	}
	return p.result(root, true, time.Since(start)), nil
}

func (p *push) tag(ctx context.Context, reference string) (image.Manifest, error) {
	root, err := p.repo().Manifest(ctx, reference)
	if err == nil {
		err = p.putTags(ctx, root, p.tags)
	}
	return root, err
}
