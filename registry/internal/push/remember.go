package push

import (
	"context"
	"log/slog"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
)

// subject is something that one push may leave to the next, to spare it steps.
type subject string

const (
	// subjectImage is the manifest that the image became. Its key is the ID of the
	// image, the platform and the form of the layers.
	subjectImage subject = "image"
	// subjectDaemons are the layers that a daemon sent, and the fact that it knows
	// them. Their keys are those of a layer, and the loopback repository with the
	// diff ID.
	subjectDaemons subject = "layers of the daemon"
	// subjectThere is that the registry has a layer. Its key is the host with the
	// diff ID, or, for a layer that has only a name, the repository with the
	// name.
	subjectThere subject = "layer in the registry"
	// subjectHolder is that the repository has the blobs of the image. Its key is
	// the host with the digest.
	subjectHolder subject = "blobs in the repository"
)

// finding is what a push has found out about a subject.
type finding struct {
	subject subject
	// root is the manifest of an image or of the daemon's layers, form that of the
	// layers which were compressed for it.
	root image.Manifest
	form image.Compression
	// status is what became of a layer.
	status registry.Status
}

// memorable decides whether the next push may rely on a finding of this one, and says
// why, or why not. Nothing else decides that. Three things are kept without it, because
// they hold whatever the push was: what a raw layer became (rememberLayer), what a tag
// was pointed at, and how a host takes blobs. The keys are beside the subjects.
//
// An image cannot be taken for another, since [registry.PushOptions.ImageID] is a
// digest, and root is compared with it: before it is remembered, and again before it
// is relied on. A config has the diff ID of every layer. So two manifests with the
// same config are of the same image, and differ only in how the layers are
// compressed, which is in the key. A push may meet other manifests, which the ID
// does not stand for: that of the one platform of an index that the daemon held just
// then, or that of another image that got the name between the daemon's two answers.
func (p *push) memorable(f finding) (why string, ok bool) {
	id := p.opts.ImageID
	switch f.subject {
	case subjectImage:
		switch {
		case id.Validate() != nil:
			return "the image has no ID", false
		case p.opts.DryRun:
			return "nothing was sent", false
		case id.Algorithm().FromBytes(f.root.Data) != id:
			return "the ID is that of the config, if the manifest has it and this form", f.root.HasConfig(id, f.form)
		}
		return "the ID is that of the manifest; of an index, if all of it was pushed", p.opts.Platform == "" || !image.IsIndex(f.root.Descriptor.MediaType)
	case subjectDaemons:
		// A classic store has compressed those layers itself, from what it knows by
		// the diff IDs. A store of manifests passes on what others made, and
		// nobody has compared its layers with the diff IDs of the config.
		return "the ID is that of the config, in which each layer of the manifest has its diff ID, if it is a classic store's", len(p.opts.DiffIDs) > 0 && f.root.HasConfig(id, daemonForm)
	case subjectThere:
		return "the registry took it, or has it, unless this is a dry run", f.status != registry.StatusSkipped
	case subjectHolder:
		return "the registry took the manifest that names them, or was asked for each", !p.opts.DryRun && !p.unverified
	}
	return "nobody has thought of it", false
}

// keeps asks memorable about what is to be kept, and logs the answer.
func (p *push) keeps(ctx context.Context, f finding) bool {
	why, ok := p.memorable(f)
	p.env.Logger.DebugContext(ctx, "for the next push", slog.String("what", string(f.subject)), slog.Bool("kept", ok), slog.String("why", why))
	return ok
}

// remember keeps the manifest of an image for the next push. form is that of
// the layers which were compressed for it.
func (p *push) remember(ctx context.Context, root image.Manifest, form image.Compression) {
	if p.keeps(ctx, finding{subject: subjectImage, root: root, form: form}) {
		p.env.Cache.KeepImage(p.opts.ImageID, form, p.opts.Platform, cache.Image{MediaType: root.Descriptor.MediaType, Manifest: root.Data})
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
	if err != nil {
		return image.Manifest{}, false
	}
	if _, ok := p.memorable(finding{subject: subjectImage, root: root, form: form}); !ok {
		return image.Manifest{}, false
	}
	return root, true
}

// identified reports whether the manifest that the image becomes can be remembered,
// because the image's ID says what it is. The ID of a daemon's image says nothing
// of an image that is made anew. And nothing remembered tells whether the registry
// has foreign layers.
func (p *push) identified() bool {
	return p.opts.ImageID != "" && !p.opts.DryRun && !p.opts.IncludeForeign && !p.madeAnew()
}

// madeAnew reports whether the options make another image of a daemon's.
func (p *push) madeAnew() bool {
	return p.opts.Source == nil && (p.opts.ForceCompression || p.opts.NoAttestations)
}

// daemonForm is that of the layers which a daemon compresses: with gzip, at a
// level of its own that takes the place of the default.
var daemonForm = image.Compression{Algorithm: image.Gzip}

// rememberRelayed keeps what the daemon made of the layers, for the next push by
// whichever way.
func (p *push) rememberRelayed(ctx context.Context, r *relay.Relay, root image.Manifest) {
	p.remember(ctx, root, daemonForm)
	if !p.keeps(ctx, finding{subject: subjectDaemons, root: root}) {
		return
	}
	layers, err := r.Layers(ctx, root)
	if err != nil {
		p.debug(ctx, "find out what the layers are", err)
		return
	}
	for _, layer := range layers {
		if layer.Algorithm != "" {
			p.env.Cache.Learn(cache.Lesson{
				DiffID: layer.DiffID, Form: image.Compression{Algorithm: layer.Algorithm}, Layer: cache.Layer{Digest: layer.Digest, Size: layer.Size},
				Begins: r.Begins(layer), Host: p.env.Host, Loopback: r.Repository(),
			})
		}
	}
}

// rememberLayer keeps what a raw layer became, under its diff ID and its form. Either
// the push compressed it while it computed its diff ID, or the cache had it and the
// registry has it still. Its name is that in its archive. begins may be unknown.
func (p *push) rememberLayer(ctx context.Context, blob *image.Blob, sent image.Sent, begins digest.Digest, status registry.Status) {
	l := cache.Lesson{DiffID: sent.DiffID, Form: p.opts.Compression, Layer: cache.Layer{Digest: sent.Digest, Size: sent.Size}, Begins: begins}
	if p.keeps(ctx, finding{subject: subjectThere, status: status}) {
		l.Host, l.Repository = p.env.Host, p.ref.Repository
		if blob.Digest == "" { // the name is all that is known; engines before 25.0 give it to one layer alone
			l.Name = blob.Name
		}
	}
	p.env.Cache.Learn(l)
}

// Becomes is the digest of the manifest that a push of the source would point tags at,
// if that is known by now.
func Becomes(c *cache.Cache, source *image.Source, form image.Compression) digest.Digest {
	return source.Becomes(func(blob *image.Blob) (image.Sent, bool) {
		if blob.Digest == "" {
			return image.Sent{}, false
		}
		layer, known := c.Layer(blob.Digest, form)
		return image.Sent{Digest: layer.Digest, Size: layer.Size, DiffID: blob.Digest}, known
	})
}

// rememberHolder keeps that the repository has the blobs of the image.
func (p *push) rememberHolder(ctx context.Context) {
	if !p.keeps(ctx, finding{subject: subjectHolder}) {
		return
	}
	for _, blob := range p.record.results() {
		if blob.Status == registry.StatusSkipped {
			continue // kept elsewhere
		}
		p.env.Cache.KeepHolder(p.env.Host, p.ref.Repository, blob.Digest)
		p.env.Batch.add(p.ref.Repository, blob.Digest, true)
		p.env.Batch.measure(blob.Digest, blob.Size)
	}
}
