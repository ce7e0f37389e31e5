package push

import (
	"context"
	"errors"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
)

// What one push has learned spares the next one steps. This file is the one
// place that decides what may be remembered of an image and its layers, and
// under which key.

// becomes reports whether root is what the image of a push becomes, so that it
// may be pushed in its place: by this push, and by any other with the same ID,
// platform and form of the layers, which are the key in the cache ([cache.Cache.Image]).
// It is asked before root is remembered and again before it is relied on.
//
// It cannot be wrong since [registry.PushOptions.ImageID] is a digest, and root is
// compared with it:
//
//   - Root has this digest: then it is the image, byte for byte. Only a platform
//     makes another manifest of an index, so that the index does not count then.
//   - Root's config has this digest: a config has the diff ID of every layer, so
//     that any two manifests with it are of the same image, and the same
//     manifest but for how the layers are compressed, which is in the key.
//
// Whatever else a push had to do with is not what the ID stands for: the one
// platform of an index that the daemon held just then, another image that got
// the name between the daemon's two answers. Nothing is remembered of it.
func (p *push) becomes(root image.Manifest, form image.Compression) bool {
	id := p.opts.ImageID
	if id.Validate() != nil {
		return false
	}
	if id.Algorithm().FromBytes(root.Data) == id {
		return p.opts.Platform == "" || !image.IsIndex(root.Descriptor.MediaType)
	}
	return root.HasConfig(id, form)
}

// remember keeps the manifest of an image for the next push. form is that of
// the layers which were compressed for it.
func (p *push) remember(ctx context.Context, root image.Manifest, form image.Compression) {
	if !p.identified() || !p.becomes(root, form) {
		return
	}
	entry := cache.Image{MediaType: root.Descriptor.MediaType, Manifest: root.Data}
	if err := p.env.Cache.KeepImage(p.opts.ImageID, form, p.opts.Platform, entry); err != nil {
		p.debug(ctx, "remember image", err)
	}
}

// knownRoot is the manifest that the image became in an earlier push, wherever
// that went.
func (p *push) knownRoot() (root image.Manifest, found bool) {
	if !p.identified() {
		return root, false
	}
	form := p.opts.Compression
	entry, found := p.env.Cache.Image(p.opts.ImageID, form, p.opts.Platform)
	if !found {
		return root, false
	}
	root, err := image.ParseManifest(entry.MediaType, entry.Manifest)
	if err != nil || !p.becomes(root, form) {
		return image.Manifest{}, false
	}
	return root, true
}

// identified reports that what becomes of the image can be remembered.
func (p *push) identified() bool { return p.opts.ImageID != "" && !p.opts.DryRun }

// daemonForm is that of the layers which a daemon compresses: with gzip, at a
// level of its own that takes the place of the default.
var daemonForm = image.Compression{Algorithm: image.Gzip}

// rememberRelayed keeps what the daemon made of the layers, for the next push by
// whichever way, and that it knows them. It does so only of an image that is known
// by its config: a classic store has compressed those layers itself, from what it
// knows by the diff IDs. A store of manifests passes on what others made, of which
// nobody has compared a layer with the diff ID that the config gives it.
func (p *push) rememberRelayed(ctx context.Context, r *relay.Relay, root image.Manifest) {
	p.remember(ctx, root, daemonForm)
	if len(p.opts.DiffIDs) == 0 || !root.HasConfig(p.opts.ImageID, daemonForm) {
		return
	}
	layers, err := r.Layers(ctx, root)
	if err != nil {
		p.debug(ctx, "find out what the layers are", err)
		return
	}
	for _, layer := range layers {
		if layer.Algorithm == "" {
			continue
		}
		p.keepLayer(ctx, image.Sent{DiffID: layer.DiffID, Digest: layer.Digest, Size: layer.Size}, image.Compression{Algorithm: layer.Algorithm})
		if err := r.Teach(layer); err != nil {
			p.debug(ctx, "remember that the daemon knows a layer", err)
		}
		if begins := r.Begins(layer); begins != "" {
			p.keepBeginning(ctx, layer.DiffID, begins)
		}
	}
}

// keepLayer keeps what a raw layer became in one form. It was compressed here
// while its diff ID was computed, or a manifest names it in the place of that
// diff ID in its config (see [image.Manifest.Layers]), with the form as its
// media type.
func (p *push) keepLayer(ctx context.Context, sent image.Sent, form image.Compression) {
	entry := cache.Layer{Digest: sent.Digest, Size: sent.Size}
	cache := p.env.Cache
	if err := errors.Join(cache.KeepLayer(sent.DiffID, form, entry), cache.KeepPushed(p.env.Host, sent.DiffID)); err != nil {
		p.debug(ctx, "remember layer", err)
	}
}

func (p *push) keepBeginning(ctx context.Context, diffID, d digest.Digest) {
	if err := p.env.Cache.KeepBeginning(diffID, d); err != nil {
		p.debug(ctx, "remember the beginning of a layer", err)
	}
}

// keepHeld notes where the registry has the blobs of an image now.
func (p *push) keepHeld(ctx context.Context) {
	if p.opts.DryRun || p.unverified {
		return
	}
	for _, blob := range p.record.results() {
		if err := p.env.Cache.KeepHolder(p.env.Host, p.ref.Repository, blob.Digest); err != nil {
			p.debug(ctx, "remember where a blob is", err)
			return
		}
	}
}

// keepName notes that the registry got a layer whose name tells nothing of its
// content, but which engines before 25.0 give to one layer alone.
func (p *push) keepName(ctx context.Context, blob *image.Blob) {
	if blob.Digest != "" {
		return
	}
	if err := p.env.Cache.KeepNamed(p.env.Host, p.ref.Repository, blob.Name); err != nil {
		p.debug(ctx, "remember layer", err)
	}
}
