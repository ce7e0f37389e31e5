package push

import (
	"cmp"
	"context"
	"errors"
	"slices"

	digest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// greet makes the first request of a push. If nothing seems to have changed, it
// asks whether that is so, and sends the credential itself: to fetch a token
// would take longer than all the rest. Any other push begins with its token.
func (p *push) greet(ctx context.Context, s *wire.Conn) (err error) {
	p.conn = s
	if !p.verifies() {
		if p.standing, err = p.stands(ctx); err != nil || p.standing != nil {
			return err
		}
	}
	p.anticipate(ctx, s)
	return wire.Introduce(ctx, s)
}

// stands gives the manifest that the image became, if earlier pushes left every
// tag at it and the registry has every tag there still; nil otherwise.
func (p *push) stands(ctx context.Context) (*image.Manifest, error) {
	root, found := p.knownRoot()
	if !found || slices.ContainsFunc(p.tags, func(tag string) bool { return !p.leftAt(tag, root) }) {
		return nil, nil //nolint:nilnil // no error, and no manifest
	}
	if !p.env.Traits.Met() && slices.ContainsFunc(p.tags, wire.Foldable) {
		return nil, nil //nolint:nilnil // the result could not tell what the tags are called
	}
	for _, tag := range p.tags {
		found, err := p.repo().StatDirectly(ctx, repo.Manifests, tag)
		if err != nil || found.Digest != root.Descriptor.Digest {
			return nil, err
		}
	}
	return &root, nil
}

// known pushes an image without reading its layers, if the registry has all of
// it and the manifest is at hand. done is false if that fails. The push then
// reads the source, unless err says that it would fail as well.
func (p *push) known(ctx context.Context) (root image.Manifest, done bool, err error) {
	if !p.identified() {
		return root, false, nil
	}
	root, tags, err := p.knownManifest(ctx)
	if err == nil && len(tags) > 0 {
		err = p.retag(ctx, root, tags)
	}
	if err == nil && p.verifies() {
		err = p.whole(ctx, p.record.sentAs(root))
	}
	if err != nil {
		return image.Manifest{}, false, p.permanent(ctx, err)
	}
	p.unverified = len(tags) == 0 && !p.verifies()
	if p.opts.Source != nil {
		for _, notice := range p.opts.Source.Notices() {
			p.record.note("%s", notice)
		}
	}
	for _, d := range root.References {
		blob := &image.Blob{Name: d.Digest.String(), Digest: d.Digest, Size: d.Size}
		p.record.done(blob, image.Sent{Digest: d.Digest, Size: d.Size}, registry.StatusExists)
	}
	return root, true, nil
}

// retag points tags at a manifest; as far as is known, the registry has everything that
// it names. The registry compares that with what it has. If it lacks something, the
// source has it.
func (p *push) retag(ctx context.Context, root image.Manifest, tags []string) error {
	if image.IsIndex(root.Descriptor.MediaType) && !p.env.Batch.has(p.ref.Repository, root.Descriptor.Digest) {
		if err := p.putChildren(ctx, root); err != nil {
			return err
		}
	}
	return p.setTags(ctx, root, tags, p.putOnce)
}

// knownManifest is the manifest that the image became, if the registry has what
// it names, and the tags that do not point at it yet. The containerd store and
// layouts know an image by the digest of its manifest, others by that of its
// config.
func (p *push) knownManifest(ctx context.Context) (image.Manifest, []string, error) {
	if p.standing != nil {
		return *p.standing, nil, nil
	}
	root, found := p.knownRoot()
	switch {
	case !found && !p.env.Batch.worthAsking(p.ref.Repository, p.opts.ImageID):
		return root, nil, registry.ErrManifestUnknown
	case !found && (p.namesConfig() || p.opts.Platform != ""):
		return root, nil, registry.ErrManifestUnknown // the ID is no manifest's, or not that of what will arrive
	case !found:
		p.openRelay()
		root, err := p.repo().Manifest(ctx, p.opts.ImageID.String())
		switch {
		case err == nil:
			p.abandonRelay()
			p.remember(ctx, root, p.opts.Compression)
		case errors.Is(err, registry.ErrManifestUnknown):
			p.env.Batch.lacks(p.ref.Repository)
		}
		return root, p.tags, err
	}
	tags, err := p.moved(ctx, root)
	if err != nil || len(tags) == 0 {
		return root, nil, err
	}
	if p.env.Batch.has(p.ref.Repository, root.Descriptor.Digest) {
		return root, tags, nil
	}
	exists, err := p.repo().Exists(ctx, repo.Manifests, root.Descriptor.Digest)
	if err != nil || exists {
		return root, tags, err
	}
	return root, tags, p.mountAll(ctx, root)
}

// namesConfig reports that the ID of the image is known to be that of a blob.
func (p *push) namesConfig() bool {
	return p.opts.Source != nil && slices.ContainsFunc(p.opts.Source.Left(), func(b *image.Blob) bool { return b.Digest == p.opts.ImageID })
}

// moved leaves out the tags that point at root already. It looks only at tags
// that an earlier push pointed there: any other would cost one request more.
func (p *push) moved(ctx context.Context, root image.Manifest) ([]string, error) {
	var moved []string
	for _, tag := range p.tags {
		if p.leftAt(tag, root) {
			found, err := p.repo().Stat(ctx, repo.Manifests, tag)
			if err != nil {
				return nil, err
			}
			if found.Digest == root.Descriptor.Digest {
				continue
			}
		}
		moved = append(moved, tag)
	}
	return moved, nil
}

// leftAt reports whether the last push of a tag left it at root.
func (p *push) leftAt(tag string, root image.Manifest) bool {
	return p.env.Cache.Tagged(p.tagged(tag)) == root.Descriptor.Digest
}

// tagged is what the cache knows a tag by.
func (p *push) tagged(tag string) string {
	return registry.Reference{Host: p.env.Host, Repository: p.ref.Repository, Tag: tag}.String()
}

// permanent returns a failure of a shortcut that the long way would meet as
// well, and nil for any other.
func (p *push) permanent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, registry.ErrUnauthorized), errors.Is(err, registry.ErrDenied), errors.Is(err, registry.ErrTagExists), registry.IsTLS(err):
		return err
	case isIncomplete(err):
		p.record.note("%s; sending the image again", printable.Clean(err.Error()))
	case err != nil:
		p.debug(ctx, "push from the cache", err)
	}
	return nil
}

// mountAll asks for every blob of a manifest; the registry may hold them for
// another package. It does not try an index, whose children would have to be
// there.
func (p *push) mountAll(ctx context.Context, root image.Manifest) error {
	if image.IsIndex(root.Descriptor.MediaType) {
		return registry.ErrManifestUnknown
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	for _, d := range root.References {
		group.Go(func() error {
			ok, err := p.mount(ctx, d.Digest)
			if err == nil && !ok {
				err = registry.ErrBlobUnknown
			}
			return err
		})
	}
	return group.Wait()
}

// mount asks the registry for a blob that it may hold for another package and
// reports whether it is in the repository then. (Gitea 1.26 needs no "from".)
func (p *push) mount(ctx context.Context, d digest.Digest) (bool, error) {
	return p.mountFrom(ctx, d, p.holder(d))
}

// holder is the repository that may have a blob, by what the cache knows.
func (p *push) holder(d digest.Digest) string {
	return p.env.Cache.Ask(cache.Question{Host: p.env.Host, Repository: p.ref.Repository, Digest: d}).Holder
}

// mountFrom is mount that begins with holder, the repository that may have the
// blob.
func (p *push) mountFrom(ctx context.Context, d digest.Digest, holder string) (bool, error) {
	if p.held(ctx, d, holder) {
		return true, nil
	}
	mounted, err := p.repo().Mount(ctx, d, "")
	if err != nil || mounted {
		return mounted, err
	}
	// A registry that mounts only with "from" may have it here already.
	return p.repo().Exists(ctx, repo.Blobs, d)
}

// held asks for a blob in holder, where an earlier push from here left it, or in the
// repository that the options name. If that is the destination itself, it does not mount,
// which would have Gitea lock its database for nothing. If it is another repository, it
// asks for a mount, and only once. If the blob has gone since, or the request fails, held
// reports false, and other ways remain.
func (p *push) held(ctx context.Context, d digest.Digest, holder string) bool {
	from := cmp.Or(holder, p.opts.MountFrom)
	if from == p.ref.Repository {
		found, err := p.repo().Exists(ctx, repo.Blobs, d)
		if err != nil {
			p.debug(ctx, "find blob", err)
		}
		return found
	}
	earlier, asked := p.record.asks(d)
	if from == "" || asked {
		return earlier != ""
	}
	// Token authentication specification: the token must allow reading the
	// other repository.
	ctx = wire.WithInfo(ctx, p.info.And("repository:"+from+":pull"))
	mounted, err := p.repo().Mount(ctx, d, from)
	if err != nil {
		p.debug(ctx, "mount blob from "+from, err)
	}
	if mounted {
		p.record.mounted(d, from)
	}
	return mounted
}
