package push

import (
	"context"
	"errors"
	"io"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// anticipate begins what takes as long as to ask the registry for a token: the
// connections that the blobs will have, and the holder's own push, because a daemon first
// has to find and name the image. It leaves out an image that was pushed before: the
// registry may have it, and lack only the tag.
func (p *push) anticipate(ctx context.Context, s *wire.Conn) {
	if _, pushed := p.knownRoot(); pushed {
		return
	}
	s.Ahead(p.sideBySide() - 1) // the token's is one
	if !p.opts.NoClobber {
		p.relay = p.beginRelay(ctx)
	}
}

// sideBySide is how many requests about blobs there will be at once, as far as is known.
func (p *push) sideBySide() int {
	jobs := p.env.jobs(p.opts)
	if layers := len(p.opts.DiffIDs); layers > 0 {
		return min(layers+1, jobs) // and the config
	}
	return jobs
}

// beginRelay opens a relay, and has the holder of the image push to it. The
// holder gets no answers yet. The result is nil if there can be no relay.
func (p *push) beginRelay(ctx context.Context) *relay.Relay {
	if p.opts.Via == nil || p.opts.DryRun || p.madeAnew() {
		return nil
	}
	r, err := relay.Begin(ctx, relay.Job{
		Via: p.opts.Via, ImageID: p.opts.ImageID, DiffIDs: p.opts.DiffIDs, Form: p.opts.Compression,
		Cache: p.env.Cache, Debug: p.debug,
	})
	if err != nil {
		p.debug(ctx, "listen on a loopback port", err)
		return nil
	}
	return r
}

// openRelay has a relay that was begun answer questions.
func (p *push) openRelay() {
	if p.relay != nil {
		p.relay.Open(destination{p})
	}
}

// abandonRelay ends a relay that was not needed, and forgets what it was asked for.
func (p *push) abandonRelay() {
	if p.relay == nil {
		return
	}
	p.relay.Abandon()
	p.relay = nil
	p.record.restart()
}

// relayed has the holder of the image push it through a relay. done is false if
// that could not be; the push then reads the source.
func (p *push) relayed(ctx context.Context) (root image.Manifest, done bool, err error) {
	if p.relay == nil {
		p.relay = p.beginRelay(ctx)
	}
	if p.relay == nil {
		return root, false, nil
	}
	p.openRelay()
	close(p.carrying)
	r := p.relay
	p.relay = nil
	got := r.Finish()
	err = got.Err
	switch {
	case got.Root != nil:
		if err != nil {
			p.record.note("the push is complete, but not its tidying up: %s", printable.Clean(err.Error()))
		}
		p.rememberRelayed(ctx, r, *got.Root)
		return *got.Root, true, nil
	case ctx.Err() != nil:
		return root, false, ctx.Err()
	case got.Refused != nil:
		return root, false, got.Refused
	case err == nil:
		err = errors.New("it sent no manifest")
	}
	p.debug(ctx, "push by the daemon", err)
	if got.Reached {
		p.record.note("the daemon could not push the image (%s); reading it instead", printable.Clean(err.Error()))
	}
	p.record.restart()
	return root, false, nil
}

// destination is the push as a relay needs it; it implements [relay.Destination].
type destination struct{ push *push }

// Find asks for a mount first if another repository has the blob: the daemon would
// begin to send a blob that is not there yet. It asks each time, because a blob may
// have gone. The size of a blob is bound to its digest.
func (d destination) Find(ctx context.Context, blob digest.Digest) (ocispec.Descriptor, error) {
	p := d.push
	p.record.unmounted(blob)
	if holder := p.holder(blob); holder != "" && holder != p.ref.Repository && p.held(ctx, blob, holder) {
		if size, known := p.env.Batch.size(blob); known {
			return ocispec.Descriptor{Digest: blob, Size: size}, nil
		}
	}
	return p.repo().Stat(ctx, repo.Blobs, blob.String())
}

func (d destination) Mount(ctx context.Context, blob digest.Digest) (bool, error) {
	return d.push.mount(ctx, blob)
}

func (d destination) Config(ctx context.Context, blob digest.Digest) ([]byte, error) {
	return d.push.repo().Config(ctx, blob)
}

func (d destination) Enter(ctx context.Context) (leave func(), err error) {
	if err := d.carried(ctx); err != nil {
		return nil, err
	}
	return d.push.gate.release, d.push.gate.acquire(ctx)
}

// carried waits until it is settled that the registry does not know the image.
func (d destination) carried(ctx context.Context) error {
	select {
	case <-d.push.carrying:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d destination) Parted() bool { return d.push.parted() }

func (d destination) Send(ctx context.Context, blob *image.Blob, body io.Reader, keep bool) (image.Sent, error) {
	var c passage = content.NewWindow(announced(blob))
	if keep {
		c = content.NewSpool(announced(blob))
		// Otherwise the registry alone compares the digest, as in the daemon's
		// own push: to compare it here would cost a quarter of the processor
		// time.
		if blob.Digest != "" {
			body = content.Verified(body, announced(blob))
		}
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(body), nil }
	return d.push.sending(blob, open, func() {}).through(ctx, c)
}

func (d destination) Exists(desc ocispec.Descriptor) {
	blob := &image.Blob{Name: desc.Digest.String(), Digest: desc.Digest, Size: desc.Size}
	d.push.record.done(blob, image.Sent{Digest: desc.Digest, Size: desc.Size}, registry.StatusExists)
}

func (d destination) PutManifest(ctx context.Context, m image.Manifest) error {
	if err := d.carried(ctx); err != nil {
		return err
	}
	d.push.record.names(m)
	return d.push.putManifest(ctx, m, m.Descriptor.Digest.String())
}

func (d destination) PutRoot(ctx context.Context, m image.Manifest) error {
	if err := d.carried(ctx); err != nil {
		return err
	}
	d.push.record.names(m)
	return d.push.putTags(ctx, m, d.push.tags)
}

func (d destination) Debug(ctx context.Context, what string, err error) { d.push.debug(ctx, what, err) }
