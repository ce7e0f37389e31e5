package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// putManifests sends the children of an index, each before what names it, and
// then the root under every tag.
func (p *push) putManifests(ctx context.Context, img *image.Image) error {
	p.record.names(append(slices.Clip(img.Children), img.Root)...)
	if p.opts.DryRun {
		return nil
	}
	for _, child := range img.Children {
		if err := p.putManifest(ctx, child, child.Descriptor.Digest.String()); err != nil {
			return err
		}
	}
	return p.putTags(ctx, img.Root, p.tags)
}

// putTags points tags at root, and sends what turns out to be lacking.
func (p *push) putTags(ctx context.Context, root image.Manifest, tags []string) error {
	return p.setTags(ctx, root, tags, p.putManifest)
}

// setTags points tags at root by putting it there.
func (p *push) setTags(ctx context.Context, root image.Manifest, tags []string, put func(context.Context, image.Manifest, string) error) error {
	if err := p.spare(ctx, root.Descriptor.Digest, tags); err != nil {
		return err
	}
	for _, tag := range tags {
		if err := put(ctx, root, tag); err != nil {
			return err
		}
		p.env.Cache.KeepTagged(p.tagged(tag), root.Descriptor.Digest)
		p.env.Batch.add(p.ref.Repository, root.Descriptor.Digest, true)
	}
	if notice := p.conn.Notice(); notice != "" {
		p.record.note("%s", notice)
	}
	return nil
}

// manifestStep is what the sending of a manifest does next.
type manifestStep int

const (
	// manifestPut sends it.
	manifestPut manifestStep = iota
	// manifestRepair sends again the blobs that the registry has lost.
	manifestRepair
	manifestDone
	manifestFailed
)

// delivery is the state of a manifest on its way into the registry: a value, like that
// of an upload. The retrier handles what is wrong with the connection or the server.
type delivery struct {
	step manifestStep
	// index: it names manifests, which are there by now, and no blobs.
	index bool
	// repaired: its blobs were sent again.
	repaired bool
	// mismatches counts the answers that its digest is wrong; more than retries
	// end the delivery.
	mismatches, retries int
	// err is the last failure.
	err error
}

// next decides what follows the outcome of d.step.
func (d delivery) next(err error) delivery {
	d.err = err
	switch {
	case err == nil && d.step == manifestRepair:
		d.repaired, d.step = true, manifestPut
	case err == nil:
		d.step = manifestDone
	case d.step == manifestPut && errors.Is(err, registry.ErrDigestMismatch) && d.mismatches < d.retries:
		// A body may have been mangled on the way. And distribution 2.8 empties
		// its links before it writes them: a concurrent push of the same manifest may
		// be told that its digest is wrong (registry/storage/driver/filesystem).
		d.mismatches++
	case d.step == manifestPut && errors.Is(err, registry.ErrBlobUnknown) && !d.index && !d.repaired:
		// The registry's cleaning was quicker, or the package that a blob was
		// mounted from has gone.
		d.step = manifestRepair
	default:
		d.step = manifestFailed
	}
	return d
}

// putManifest sends a manifest, as often as that makes sense.
func (p *push) putManifest(ctx context.Context, m image.Manifest, reference string) error {
	d := delivery{index: image.IsIndex(m.Descriptor.MediaType), retries: p.info.Retries}
	for {
		switch d.step {
		case manifestPut:
			if d.mismatches > 0 {
				p.record.retries.Add(1)
				if err := wire.Pause(ctx, p.env.Backoff(d.mismatches)); err != nil {
					return err
				}
			}
			d = d.next(p.putFitting(ctx, m, reference))
		case manifestRepair:
			d = d.next(p.repair(ctx, m, d.err))
		case manifestDone:
			return nil
		case manifestFailed:
			if d.index && errors.Is(d.err, registry.ErrBlobUnknown) {
				return fmt.Errorf("%w%s", d.err, p.lacking(ctx, m))
			}
			return d.err
		}
	}
}

// errOtherForm ends the delivery of a manifest when one of its layers was compressed
// again and became another blob. The manifest must be made anew.
var errOtherForm = errors.New("a layer was compressed again, and has another digest now")

// repair sends the blobs of a manifest that the registry lacks. cause is the
// answer that says so.
func (p *push) repair(ctx context.Context, m image.Manifest, cause error) error {
	p.record.note("the registry lacks blobs that it had; sending them again")
	var other error
	for _, d := range m.References {
		err := p.sendAgain(ctx, d)
		switch {
		case errors.Is(err, errOtherForm):
			other = err // the rest may be lacking too
		case err != nil:
			return fmt.Errorf("%w: %w", cause, err)
		}
	}
	return other
}

// sendAgain sends a blob of a manifest if the registry lacks it. A layer becomes
// another blob (errOtherForm) if its digest came from the cache, and a daemon's
// compressor or an earlier version of ours had made it.
func (p *push) sendAgain(ctx context.Context, d ocispec.Descriptor) error {
	if exists, err := p.repo().Exists(ctx, repo.Blobs, d.Digest); err != nil || exists {
		return err
	}
	p.env.Batch.add(p.ref.Repository, d.Digest, false)
	blob := p.record.again(d.Digest)
	switch {
	case blob == nil:
		return p.sendRest(ctx, &image.Image{Missing: []ocispec.Descriptor{d}})
	case !blob.Compress:
		return p.sendBlob(ctx, blob, func() {})
	}
	if err := p.sending(blob, blob.Open, func() {}).spooled(ctx); err != nil {
		return err
	}
	if p.record.became(blob.Name).Digest != d.Digest {
		return errOtherForm
	}
	return nil
}

// putOnce sends a manifest, and makes known that it refers to another, if it
// does.
func (p *push) putOnce(ctx context.Context, m image.Manifest, reference string) error {
	answer, err := p.repo().Put(ctx, m, reference)
	if err != nil {
		return err
	}
	return p.refer(ctx, m, answer)
}

// lacking names the manifests of an index that the registry lacks, because
// Gitea's answer does not name them.
func (p *push) lacking(ctx context.Context, m image.Manifest) string {
	var names []string
	for _, d := range m.References {
		if exists, err := p.repo().Exists(ctx, repo.Manifests, d.Digest); err == nil && !exists {
			names = append(names, d.Digest.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": it lacks " + strings.Join(names, ", ")
}
