package remote

import (
	"cmp"
	"context"
	"errors"
	"io"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Copy copies an image of a registry to imageRef: an index with all that it names, or
// the one platform of the options. It copies byte for byte, unless the options leave
// out or change a part. Layers go through memory. If a connection breaks off on either
// side, Copy takes it up again. Within one registry Copy reads no layer, but mounts
// each. Copy sets Source, MountFrom, Image, ImageID and Via by itself, and does not
// look at those of the options.
//
// Errors: those of [Client.Source] and [Client.Push].
func (c *Client) Copy(ctx context.Context, imageRef string, from Member, opts registry.PushOptions) error {
	from.Client = cmp.Or(from.Client, c)
	source, err := from.Client.Source(ctx, from.Repository, from.Reference, opts.ImageOptions())
	if err != nil {
		return err
	}
	opts.Source, opts.MountFrom, opts.Image, opts.ImageID, opts.Via = source, "", "", "", nil
	if opts.IncludeForeign && opts.Fetch == nil {
		opts.Fetch = func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
			return from.Client.Blob(ctx, from.Repository, d)
		}
	}
	if from.Client.Host() == c.Host() {
		opts.MountFrom = from.Repository
	}
	return errors.Join(c.Push(ctx, imageRef, opts), source.Close())
}
