package remote

import (
	"cmp"
	"context"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
)

// Member is an image of a registry that becomes part of an index, or is copied.
type Member struct {
	// Client is the client of the registry that has the image. Nil means the
	// client whose method is called.
	Client *Client
	// Repository is "owner/name", and Reference a tag or a digest.
	Repository, Reference string
}

// JoinOptions are the options of [Client.Join].
type JoinOptions struct {
	// Tags are set besides the destination's own tag.
	Tags []string
	// Annotations are those of the index.
	Annotations map[string]string
	// NoClobber moves no tag; see [registry.PushOptions.NoClobber].
	NoClobber bool
	// NoAttestations leaves out those of the members; see [image.Options.NoAttestations].
	NoAttestations bool
	// Jobs is how many images, and blobs of each, travel side by side. Zero
	// means [registry.DefaultJobs].
	Jobs int
	// Progress, when not nil, is called for each event, one at a time.
	Progress func(registry.Event)
}

// Join makes one index of images for different platforms, and puts it under
// imageRef (see [image.Join]). A member that is an index gives all that it
// names, its attestations too.
//
// Join puts each image by its digest as well. So the index stays whole when the
// tag of the image is moved or deleted: if only a tag names an image, Gitea
// keeps it no longer than the tag. Join mounts what is in another repository of
// the registry, and brings over what is in another registry.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrUnauthorized], [registry.ErrDenied],
// [registry.ErrNameInvalid], [registry.ErrBlobUnknown] where the registry has lost a part of an
// image, and [*image.Error].
func (c *Client) Join(ctx context.Context, imageRef string, members []Member, opts JoinOptions) (registry.Result, error) {
	options := registry.PushOptions{Tags: opts.Tags, NoClobber: opts.NoClobber, NoAttestations: opts.NoAttestations, Jobs: opts.Jobs, Progress: opts.Progress}
	ref, err := c.named(imageRef, options)
	if err != nil {
		return registry.Result{}, err
	}
	var all []push.Member
	for _, m := range members {
		from := push.Origin{Registry: cmp.Or(m.Client, c), Repository: m.Repository}
		all = append(all, push.Member{From: from, Reference: m.Reference})
	}
	return push.Join(ctx, c.pushes(), ref, options, all, opts.Annotations)
}
