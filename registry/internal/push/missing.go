package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// located is a blob that the source lacks and that was found elsewhere.
type located struct {
	// send brings it into the repository.
	send func(context.Context) error
	// close gives up what was opened; it may be called more than once.
	close func() error
}

// locate finds the blobs that the source lacks, so that nothing is sent of an
// image that cannot be completed. One error names all blobs that are nowhere.
// The caller closes what was found.
func (p *push) locate(ctx context.Context, missing []ocispec.Descriptor) (found []located, err error) {
	var group errgroup.Group
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	var mu sync.Mutex // guards found and lacking
	var lacking *registry.MissingError
	for _, desc := range missing {
		group.Go(func() error {
			l, err := p.find(ctx, desc)
			mu.Lock()
			defer mu.Unlock()
			if one, ok := errors.AsType[*registry.MissingError](err); ok {
				lacking = both(lacking, one)
				return nil
			}
			if l.send != nil {
				found = append(found, l)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil || lacking == nil {
		return found, err
	}
	return found, lacking
}

// both makes one error of two; the first may be nil.
func both(one, other *registry.MissingError) *registry.MissingError {
	if one == nil {
		return other
	}
	return &registry.MissingError{Digests: append(slices.Clone(one.Digests), other.Digests...), File: one.File, Foreign: one.Foreign || other.Foreign, Err: cmp.Or(one.Err, other.Err)}
}

// find looks for a blob in another package of the registry, from which it
// mounts the blob at once. Then it looks for the compressed form that was just
// sent, and where [registry.PushOptions.Fetch] has the blob.
func (p *push) find(ctx context.Context, missing ocispec.Descriptor) (located, error) {
	blob := &image.Blob{Name: missing.Digest.String(), Digest: missing.Digest, Size: missing.Size, Once: true}
	sent := image.Sent{Digest: missing.Digest, Size: missing.Size}
	if p.opts.DryRun {
		p.record.done(blob, sent, registry.StatusSkipped)
		return located{}, nil
	}
	exists, err := p.mount(ctx, missing.Digest)
	if err != nil {
		return located{}, err
	}
	if exists {
		p.record.done(blob, sent, registry.StatusExists)
		return located{}, nil
	}
	if len(missing.URLs) > 0 && !p.opts.IncludeForeign && !p.env.Traits.Gitea() {
		// The layer is kept elsewhere. The registry decides whether it takes the
		// manifest without the layer; Gitea never does.
		p.record.done(blob, sent, registry.StatusSkipped)
		return located{}, nil
	}
	compressed, ok := p.record.compressedForm(missing.Digest)
	if !ok {
		return p.fetch(ctx, blob, missing.URLs)
	}
	c := &content.Stored{Digest: missing.Digest, Size: missing.Size, Open: func() (io.ReadCloser, error) {
		return p.getDecompressed(ctx, compressed)
	}}
	return located{close: c.Close, send: func(ctx context.Context) error {
		return p.sending(blob, nil, nil).stored(ctx, c)
	}}, nil
}

// fetch opens a blob where the image came from, or at one of the URLs by which its
// manifest names it, if these are wanted.
func (p *push) fetch(ctx context.Context, blob *image.Blob, urls []string) (located, error) {
	foreign := len(urls) > 0 && !p.opts.IncludeForeign
	if foreign {
		urls = nil
	}
	lacking := &registry.MissingError{Digests: []digest.Digest{blob.Digest}, Foreign: foreign, File: p.opts.Fetch == nil && len(urls) == 0}
	if lacking.File {
		return located{}, lacking
	}
	r, from, err := p.openElsewhere(ctx, blob.Digest, urls)
	switch {
	case err != nil && ctx.Err() != nil:
		return located{}, ctx.Err()
	case err != nil:
		lacking.Err = err
		return located{}, lacking
	}
	closeOnce := sync.OnceValue(r.Close)
	return located{close: closeOnce, send: func(ctx context.Context) error {
		p.record.note("the source lacks %s, fetching it from %s", blob.Digest, from)
		open := func() (io.ReadCloser, error) {
			return fetched{content.Verified(io.LimitReader(r, blob.Size+1), announced(blob)), closeOnce}, nil
		}
		return p.sending(blob, open, func() {}).spooled(ctx)
	}}, nil
}

// openElsewhere opens a blob at the first place that has it, and says what that is.
func (p *push) openElsewhere(ctx context.Context, d digest.Digest, urls []string) (r io.ReadCloser, from string, err error) {
	var errs []error
	if p.opts.Fetch != nil {
		if r, err = p.opts.Fetch(ctx, d); err == nil {
			return r, "where the image came from", nil
		}
		errs = append(errs, err)
	}
	for _, address := range urls {
		if r, err = p.env.Foreign(ctx, address); err == nil {
			return r, printable.Clean(hostOf(address)), nil
		}
		errs = append(errs, err)
	}
	return nil, "", errors.Join(errs...)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}

// fetched is a blob that is read from where the image came from.
type fetched struct {
	io.Reader
	close func() error
}

func (f fetched) Close() error { return f.close() }

// getDecompressed reads back a layer that was compressed on its way.
func (p *push) getDecompressed(ctx context.Context, d digest.Digest) (_ io.ReadCloser, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", content.ErrReadBack, err)
		}
	}()
	body, err := p.repo().BlobFrom(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	return p.opts.Compression.NewReader(readBack{body})
}

// readBack marks its failures with [content.ErrReadBack].
type readBack struct{ io.ReadCloser }

func (r readBack) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", content.ErrReadBack, err)
	}
	return n, err
}
