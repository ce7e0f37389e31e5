package remote

import (
	"cmp"
	"context"
	"errors"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Copy copies an image of a registry to imageRef, byte for byte: an index with all
// that it names, or the one platform of the options. Layers go through memory, and
// a connection that breaks off is taken up again, on either side. Within one
// registry no layer is read: each is mounted. Of the options Source, MountFrom, Image,
// ImageID and Via are Copy's own business and are not looked at.
//
// Errors: those of [Client.Source] and [Client.Push].
func (c *Client) Copy(ctx context.Context, imageRef string, from Member, opts registry.PushOptions) error {
	from.Client = cmp.Or(from.Client, c)
	source, err := from.Client.Source(ctx, from.Repository, from.Reference, &image.Options{Platform: opts.Platform})
	if err != nil {
		return err
	}
	opts.Source, opts.MountFrom, opts.Image, opts.ImageID, opts.Via = source, "", "", "", nil
	if from.Client.Host() == c.Host() {
		opts.MountFrom = from.Repository
	}
	return errors.Join(c.Push(ctx, imageRef, opts), source.Close())
}
