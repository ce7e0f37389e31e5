package remote

import (
	"context"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
)

// TagOptions are the options of [Client.Tag].
type TagOptions struct {
	// NoClobber moves no tag; see [registry.PushOptions.NoClobber].
	NoClobber bool
}

// Tag points tags of a repository at what one of its tags or a digest leads to:
// after the token, one request reads that and one sets each tag. Nothing else is
// looked at; what a tag pointed at before stays in the registry until that
// cleans up. repository may begin with the client's host.
//
// A tag is set to what was read. Where another client moves the first tag
// meanwhile, the new ones stay at what it was.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrUnauthorized], [registry.ErrDenied],
// [registry.ErrNameInvalid], [registry.ErrTagExists], and [registry.ErrBlobUnknown] where the registry has lost what the
// manifest names.
func (c *Client) Tag(ctx context.Context, repository, reference string, tags []string, opts TagOptions) (registry.Result, error) {
	if len(tags) == 0 {
		return registry.Result{}, &registry.NameError{Fault: "no tag is given"}
	}
	options := registry.PushOptions{Tags: tags, NoClobber: opts.NoClobber}
	ref, err := c.named(repository+":"+tags[0], options)
	if err != nil {
		return registry.Result{}, err
	}
	return push.Tag(ctx, c.pushes(), ref, options, reference)
}

// named is the destination of what has only names to set.
func (c *Client) named(imageRef string, opts registry.PushOptions) (registry.Reference, error) {
	if err := opts.Validate(); err != nil {
		return registry.Reference{}, err
	}
	return c.destination(imageRef)
}
