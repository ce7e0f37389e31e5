package push

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
)

// incompleteError names what the registry lacks of an image whose manifest it
// has.
type incompleteError struct{ lacking []digest.Digest }

func (e *incompleteError) Error() string {
	var names []string
	for _, d := range e.lacking {
		names = append(names, d.String())
	}
	return "the registry has the manifest, but lacks " + strings.Join(names, ", ")
}

// Is makes it an [registry.ErrBlobUnknown].
func (e *incompleteError) Is(target error) bool { return target == registry.ErrBlobUnknown }

func isIncomplete(err error) bool {
	_, incomplete := errors.AsType[*incompleteError](err)
	return incomplete
}

// verifies reports whether the push looks at what its tags lead to.
func (p *push) verifies() bool { return p.opts.Verify && !p.opts.DryRun }

// whole checks whether the registry has everything that root leads to. It compares the
// bytes of each manifest with its digest, and asks for the digest and size of each blob;
// if the registry does not tell them, it reads the blob. An [*incompleteError] names
// whatever is missing.
func (p *push) whole(ctx context.Context, root image.Manifest) error {
	level := []ocispec.Descriptor{root.Descriptor}
	known := map[digest.Digest]bool{root.Descriptor.Digest: true}
	var lacking []digest.Digest
	for len(level) > 0 {
		var below []ocispec.Descriptor
		var mu sync.Mutex // guards below and lacking
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
		for _, d := range level {
			group.Go(func() error {
				there, names, err := p.look(ctx, d)
				mu.Lock()
				defer mu.Unlock()
				below = append(below, names...)
				if err == nil && !there {
					lacking = append(lacking, d.Digest)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		level = slices.DeleteFunc(below, func(d ocispec.Descriptor) bool {
			seen := known[d.Digest]
			known[d.Digest] = true
			return seen
		})
	}
	if len(lacking) == 0 {
		return nil
	}
	slices.Sort(lacking)
	return &incompleteError{lacking}
}

// look reports whether the registry has what a descriptor describes, and what
// that names in turn. A layer that is kept elsewhere (it has URLs) may be
// absent.
func (p *push) look(ctx context.Context, d ocispec.Descriptor) (there bool, names []ocispec.Descriptor, err error) {
	if image.IsManifest(d.MediaType) {
		m, err := p.repo().Manifest(ctx, d.Digest.String())
		if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrDigestMismatch) {
			return false, nil, nil
		}
		return err == nil, m.References, err
	}
	found, err := p.repo().Stat(ctx, repo.Blobs, d.Digest.String())
	switch {
	case err != nil || len(d.URLs) > 0:
		return err == nil, nil, err
	case found.Digest != "" && found.Size >= 0:
		return found.Size == d.Size, nil, nil
	}
	there, err = p.reads(ctx, d)
	return there, nil, err
}

// reads reports whether the registry gives the bytes of a blob. It is for a
// registry whose answer to HEAD proves nothing: some name no digest in it, or
// refuse HEAD.
func (p *push) reads(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	body, err := p.repo().Blob(ctx, d.Digest)
	if answer, ok := errors.AsType[*registry.Error](err); ok && answer.Status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	verifier := d.Digest.Verifier()
	_, err = io.Copy(verifier, io.LimitReader(body, d.Size+1))
	return err == nil && verifier.Verified(), errors.Join(err, body.Close())
}

// putChildren puts the manifests below an index again, as the registry has
// them, deepest first. When a registry takes an index, it compares it with the
// children, but not the children with their blobs. It does that when it takes a
// child.
func (p *push) putChildren(ctx context.Context, index image.Manifest) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	for _, d := range index.References {
		if !image.IsManifest(d.MediaType) {
			continue // the registry compares it, as a blob, when it takes the index
		}
		group.Go(func() error {
			child, err := p.repo().Manifest(ctx, d.Digest.String())
			if err == nil && image.IsIndex(d.MediaType) {
				err = p.putChildren(ctx, child)
			}
			if err == nil {
				err = p.putOnce(ctx, child, d.Digest.String())
			}
			return err
		})
	}
	return group.Wait()
}
