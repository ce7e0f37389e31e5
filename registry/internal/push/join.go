package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Registry is a client that reads from a registry.
type Registry interface {
	// Host is that of the registry.
	Host() string
	Manifest(ctx context.Context, repository, reference string) (image.Manifest, error)
	Config(ctx context.Context, repository string, d digest.Digest) ([]byte, error)
	Blob(ctx context.Context, repository string, d digest.Digest) (io.ReadCloser, error)
	// Referrers describes what refers to a manifest. With byTag, the tag of its digest
	// is read if the registry does not tell.
	Referrers(ctx context.Context, repository string, d digest.Digest, byTag bool) ([]ocispec.Descriptor, error)
}

// Origin is a repository that images are read from.
type Origin struct {
	Registry   Registry
	Repository string
}

// Image opens the image that root is; see [image.From].
func (o Origin) Image(ctx context.Context, root image.Manifest, opts *image.Options) (*image.Source, error) {
	return image.From(ctx, store{o}, root, o.Registry.Host()+"/"+o.Repository, opts)
}

// store is an origin as an [image.Store].
type store struct{ Origin }

// Manifest reads a manifest that an index names. If it is lacking, the source has
// failed; the image is not unknown.
func (s store) Manifest(ctx context.Context, d digest.Digest) (image.Manifest, error) {
	m, err := s.Registry.Manifest(ctx, s.Repository, d.String())
	if err != nil {
		err = &registry.SourceError{Host: s.Registry.Host(), Repository: s.Repository, Err: err}
	}
	return m, err
}

func (s store) Blob(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	return s.Registry.Blob(ctx, s.Repository, d)
}

// Member is an image that becomes part of an index.
type Member struct {
	From Origin
	// Reference is a tag or a digest.
	Reference string
}

// Join makes one index of images, with annotations of its own, and points the tags
// of ref and opts at it.
func Join(ctx context.Context, env Env, ref registry.Reference, opts registry.PushOptions, members []Member, annotations map[string]string) (registry.Result, error) {
	return newPush(env, ref, opts).arrange(ctx, "join", func(ctx context.Context, p *push) (image.Manifest, error) {
		return p.join(ctx, members, annotations)
	})
}

// join reads what the members are, makes the index, brings over what it names,
// and puts the index.
func (p *push) join(ctx context.Context, members []Member, annotations map[string]string) (image.Manifest, error) {
	entries, err := p.entries(ctx, members)
	if err != nil {
		return image.Manifest{}, err
	}
	if p.opts.NoAttestations {
		entries = slices.DeleteFunc(entries, func(e entry) bool { return e.manifest.IsAttestation(e.desc) })
	}
	var images []ocispec.Descriptor
	for _, e := range entries {
		images = append(images, e.desc)
	}
	root, err := image.Join(images, annotations)
	if err != nil {
		return image.Manifest{}, err
	}
	if err := p.spare(ctx, root.Descriptor.Digest, p.tags); err != nil {
		return image.Manifest{}, err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	known := map[digest.Digest]bool{}
	var own []entry
	for _, e := range entries {
		switch {
		case known[e.desc.Digest]:
		case p.isOwn(e):
			own = append(own, e)
		default:
			group.Go(func() error { return p.bring(inner, e) })
		}
		known[e.desc.Digest] = true
	}
	// Gitea's default database has one writer at a time, and a request that finds it
	// locked looks again after up to 0.1 s. So requests that only write go one after
	// the other.
	group.Go(func() error {
		for _, e := range own {
			if err := p.bring(inner, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return image.Manifest{}, err
	}
	return root, p.putTags(ctx, root, p.tags)
}

// entry is a manifest that the index will name.
type entry struct {
	from     Origin
	manifest image.Manifest
	// desc is its descriptor in the index.
	desc ocispec.Descriptor
}

// entries are the manifests of all members.
func (p *push) entries(ctx context.Context, members []Member) ([]entry, error) {
	var mu sync.Mutex // guards found
	var found []entry
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	for _, m := range members {
		group.Go(func() error {
			entries, err := m.entries(ctx, ocispec.Descriptor{}, m.Reference, 0)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, entries...)
			return err
		})
	}
	err := group.Wait()
	return found, err
}

// maxNested bounds how deep indexes are nested. Two levels are usual.
const maxNested = 4

// entries are the manifests that a tag or a digest of the member's repository
// leads to. named is the descriptor that an index has of it.
func (m Member) entries(ctx context.Context, named ocispec.Descriptor, reference string, depth int) ([]entry, error) {
	read, err := m.From.Registry.Manifest(ctx, m.From.Repository, reference)
	if err != nil {
		return nil, fmt.Errorf("%s of %s/%s: %w", reference, m.From.Registry.Host(), m.From.Repository, err)
	}
	if image.IsIndex(read.Descriptor.MediaType) {
		if depth == maxNested {
			return nil, fmt.Errorf("%s: %w: indexes are nested deeper than %d", reference, registry.ErrManifestInvalid, maxNested)
		}
		var all []entry
		for _, d := range read.References {
			below, err := m.entries(ctx, d, d.Digest.String(), depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
		return all, nil
	}
	e := entry{from: m.From, manifest: read, desc: named}
	if named.Platform != nil {
		return []entry{e}, nil
	}
	if len(read.References) == 0 {
		return nil, fmt.Errorf("%s: %w: it names no config", reference, registry.ErrManifestInvalid)
	}
	config, err := m.From.Registry.Config(ctx, m.From.Repository, read.References[0].Digest)
	if err == nil {
		e.desc, err = read.Describe(config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	e.desc.Annotations = named.Annotations
	return []entry{e}, nil
}

// isOwn reports whether a manifest is of the repository that gets the index.
func (p *push) isOwn(e entry) bool {
	return e.from.Registry.Host() == p.env.Host && e.from.Repository == p.ref.Repository
}

// bring puts a manifest by its digest, with its blobs if it comes from another
// repository. If it comes from the same one, the registry has the blobs, and
// checks that.
func (p *push) bring(ctx context.Context, e entry) error {
	name := e.manifest.Descriptor.Digest.String()
	if p.isOwn(e) {
		return p.putManifest(ctx, e.manifest, name)
	}
	source, err := e.from.Image(ctx, e.manifest, nil)
	if err != nil {
		return err
	}
	opts := registry.PushOptions{Jobs: p.opts.Jobs, Progress: p.record.emit}
	if e.from.Registry.Host() == p.env.Host {
		opts.MountFrom = e.from.Repository
	}
	one := newPush(p.env, p.ref, opts)
	one.conn, one.info, one.tags = p.conn, p.info, nil
	_, err = one.send(ctx, source)
	if err == nil {
		err = one.putManifest(ctx, e.manifest, name)
	}
	p.record.add(one.record)
	return errors.Join(err, source.Close())
}
