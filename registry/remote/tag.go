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

// Tag points tags of a repository at the manifest that one of its tags or a
// digest leads to. After the token, one request reads the manifest, and one
// request sets each tag. Tag looks at nothing else. What a tag pointed at before
// stays in the registry until the registry cleans up. repository may begin with
// the client's host.
//
// Tag sets the tags to what it has read. If another client moves the first tag
// meanwhile, the new tags stay at what was read.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrUnauthorized], [registry.ErrDenied],
// [registry.ErrNameInvalid], [registry.ErrTagExists], and [registry.ErrBlobUnknown] if the
// registry has lost what the manifest names.
func (c *Client) Tag(ctx context.Context, repository, reference string, tags []string, opts TagOptions) (registry.Result, error) {
	if len(tags) == 0 {
		return registry.Result{}, &registry.NameError{Fault: "no tag is given"}
	}
	options := registry.PushOptions{Tags: tags, NoClobber: opts.NoClobber}
	ref, err := c.named(c.home(repository)+":"+tags[0], options)
	if err != nil {
		return registry.Result{}, err
	}
	return push.Tag(ctx, c.pushes(), ref, options, reference)
}

// named is a destination where only names are set.
func (c *Client) named(imageRef string, opts registry.PushOptions) (registry.Reference, error) {
	if err := opts.Validate(); err != nil {
		return registry.Reference{}, err
	}
	return c.destination(imageRef)
}
