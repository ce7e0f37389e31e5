package push

import (
	"context"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Tag points the tags of ref and opts at what a tag or a digest of its repository
// leads to.
func Tag(ctx context.Context, env Env, ref registry.Reference, opts registry.PushOptions, reference string) (registry.Result, error) {
	return newPush(env, ref, opts).arrange(ctx, "tag", func(ctx context.Context, p *push) (image.Manifest, error) {
		return p.tag(ctx, reference)
	})
}

// arrange connects, and lets do point the tags of the push at a manifest that
// registries have already. Errors call this op.
func (p *push) arrange(ctx context.Context, op string, do func(context.Context, *push) (image.Manifest, error)) (registry.Result, error) {
	start := time.Now()
	ctx = wire.WithInfo(ctx, p.info)
	var root image.Manifest
	var err error
	if p.conn, err = p.env.Connect(ctx, false, wire.Introduce); err == nil {
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
