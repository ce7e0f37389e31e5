package remote

import (
	"context"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
)

// Source opens the image that a tag or a digest of a repository leads to, so
// that it can be pushed elsewhere: an index with all that it names, byte for
// byte, or the one platform in opts. Source reads the manifests at once, and
// each blob is read while it is sent. If a connection breaks off, reading goes
// on from there. ctx holds for all of it. opts may be nil.
//
// On a push to another repository of the same registry, [registry.PushOptions.MountFrom]
// spares the blobs the way through this program.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrDigestMismatch], [*image.Error]; those of a blob are
// a [*registry.SourceError].
func (c *Client) Source(ctx context.Context, repository, reference string, opts *image.Options) (*image.Source, error) {
	root, err := c.Manifest(ctx, repository, reference)
	if err != nil {
		return nil, err
	}
	return push.Origin{Registry: c, Repository: repository}.Image(ctx, root, opts)
}

// Becomes is the digest of the manifest that a push of source would point tags at. It is
// empty if only the push will tell, because this machine has not compressed the layers
// before. form is that of the push. The source is not read, and can be pushed afterwards.
func (c *Client) Becomes(source *image.Source, form image.Compression) digest.Digest {
	return push.Becomes(c.cache, source, form)
}
