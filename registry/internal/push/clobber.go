package push

import (
	"cmp"
	"context"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
)

// spare refuses to move a tag that points at another manifest than root, if the
// push is to move none. The registry has no request that compares and sets a tag at
// once: between the two, another client may set the tag.
func (p *push) spare(ctx context.Context, root digest.Digest, tags []string) error {
	return p.spareWhere(ctx, tags, root, func(found ocispec.Descriptor) (bool, error) { return found.Digest == root, nil })
}

// spareUnread is spare before the image is read and anything is sent. The digest
// that the manifest will have may not be known by then. Then a manifest with the
// image's config passes, and spare compares it when the tag is set. Nothing is known
// of a stream, so it passes, too.
func (p *push) spareUnread(ctx context.Context) error {
	root, known := p.knownRoot()
	if p.opts.ImageID == "" && !known || p.madeAnew() {
		return nil
	}
	wanted := cmp.Or(root.Descriptor.Digest, p.opts.ImageID)
	return p.spareWhere(ctx, p.tags, wanted, func(found ocispec.Descriptor) (bool, error) {
		if found.Digest == wanted || found.Digest == p.opts.ImageID {
			return true, nil
		}
		if known {
			return false, nil
		}
		m, err := p.repo().Manifest(ctx, found.Digest.String())
		return slices.ContainsFunc(m.References, func(d ocispec.Descriptor) bool { return d.Digest == p.opts.ImageID }), err
	})
}

// spareWhere refuses a tag that points at another image than wanted.
func (p *push) spareWhere(ctx context.Context, tags []string, wanted digest.Digest, same func(ocispec.Descriptor) (bool, error)) error {
	if !p.opts.NoClobber {
		return nil
	}
	for _, tag := range tags {
		found, err := p.repo().Stat(ctx, repo.Manifests, tag)
		if err != nil {
			return err
		}
		if found.Digest == "" {
			continue
		}
		switch is, err := same(found); {
		case err != nil:
			return err
		case !is:
			return &registry.TagError{Tag: tag, Present: found.Digest, Wanted: wanted}
		}
	}
	return nil
}
