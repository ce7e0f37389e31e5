package push

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// source is the one of the options, or the daemon's export of the image.
func (p *push) source(ctx context.Context) (*image.Source, func() error, error) {
	if p.opts.Source != nil {
		return p.opts.Source, func() error { return nil }, nil
	}
	if p.env.Save == nil {
		return nil, nil, registry.ErrNoSource
	}
	name := p.opts.Image
	if name == "" {
		name = p.ref.String()
	}
	stream, err := p.env.Save(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	source, err := image.Read(stream, name, p.opts.ImageOptions())
	if err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	return source, func() error { return errors.Join(source.Close(), stream.Close()) }, nil
}

// send sends what the source holds: blobs, then manifests.
func (p *push) send(ctx context.Context, source *image.Source) (image.Manifest, error) {
	if err := p.sendBlobs(ctx, source); err != nil {
		return image.Manifest{}, err
	}
	img, err := p.finish(ctx, source)
	if errors.Is(err, errOtherForm) {
		img, err = p.finish(ctx, source)
	}
	if err != nil {
		return image.Manifest{}, err
	}
	p.remember(ctx, img.Root, p.opts.Compression)
	return img.Root, nil
}

// finish sends what is known only at the end of the source: the last blobs, and
// the manifests, by what the blobs became.
func (p *push) finish(ctx context.Context, source *image.Source) (*image.Image, error) {
	img, err := source.Finish(p.record.all())
	if err != nil {
		return nil, err
	}
	for _, notice := range img.Notices {
		p.record.note("%s", notice)
	}
	if err := p.sendRest(ctx, img); err != nil {
		return nil, err
	}
	return img, p.putManifests(ctx, img)
}

// sendBlobs hands each blob of the source to a goroutine of its own, as many
// at a time as there are jobs. A blob that can be read only once has to be
// read before the source goes on; sending it may take longer.
func (p *push) sendBlobs(ctx context.Context, source *image.Source) error {
	for _, blob := range source.Left() {
		p.record.waiting(blob)
	}
	group, inner := errgroup.WithContext(ctx)
	for {
		if err := p.gate.acquire(inner); err != nil {
			break // the group or ctx has the cause
		}
		blob, err := source.Next(inner)
		if err != nil {
			p.gate.release()
			if !errors.Is(err, io.EOF) {
				group.Go(func() error { return err })
			}
			break
		}
		read := make(chan struct{})
		group.Go(func() error {
			defer p.gate.release()
			return p.sendBlob(inner, blob, sync.OnceFunc(func() { close(read) }))
		})
		if blob.Once {
			<-read
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// sendRest sends the blobs that became known only at the end of the source, and
// those that the source lacks, once all of the latter are found.
func (p *push) sendRest(ctx context.Context, img *image.Image) (err error) {
	found, err := p.locate(ctx, img.Missing)
	defer func() {
		for _, l := range found {
			err = errors.Join(err, l.close())
		}
	}()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	inTurn := func(send func() error) {
		group.Go(func() error {
			if err := p.gate.acquire(ctx); err != nil {
				return err
			}
			defer p.gate.release()
			return send()
		})
	}
	for _, blob := range img.Blobs {
		inTurn(func() error { return p.sendBlob(ctx, blob, func() {}) })
	}
	for _, l := range found {
		inTurn(func() error { return l.send(ctx) })
	}
	return group.Wait()
}
