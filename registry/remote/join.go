package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Member is an image that becomes part of an index.
type Member struct {
	// Client is that of the registry which has the image. Nil is the one that
	// joins.
	Client *Client
	// Repository is "owner/name", and Reference a tag or a digest.
	Repository, Reference string
}

// JoinOptions are the options of [Client.Join].
type JoinOptions struct {
	// Tags are set besides the destination's own tag.
	Tags []string
	// Annotations are those of the index.
	Annotations map[string]string
	// Jobs is how many images, and blobs of each, travel side by side. Zero
	// means [registry.DefaultJobs].
	Jobs int
	// Progress, when not nil, is called for each event, one at a time.
	Progress func(registry.Event)
}

// Join makes one index of images for different platforms, and puts it under
// imageRef (see [image.Join]). A member that is an index gives all that it
// names, its attestations too.
//
// Each image is put by its digest as well. So the index stays whole when the tag
// of the image is moved or deleted: Gitea keeps an image that only a tag names
// no longer than the tag. What is in another repository of the registry is
// mounted, and what is in another registry is brought over.
//
// Errors: [registry.ErrManifestUnknown], [registry.ErrUnauthorized], [registry.ErrDenied],
// [registry.ErrNameInvalid], [registry.ErrBlobUnknown] where the registry has lost a part of an
// image, and [*image.Error].
func (c *Client) Join(ctx context.Context, imageRef string, members []Member, opts JoinOptions) (registry.Result, error) {
	options := registry.PushOptions{Tags: opts.Tags, Jobs: opts.Jobs, Progress: opts.Progress}
	return c.arrange(ctx, "join", imageRef, options, func(ctx context.Context, p *push) (image.Manifest, error) {
		return p.join(ctx, members, opts.Annotations)
	})
}

// join reads what the members are, makes the index, brings over what it names,
// and puts it.
func (p *push) join(ctx context.Context, members []Member, annotations map[string]string) (image.Manifest, error) {
	entries, err := p.entries(ctx, members)
	if err != nil {
		return image.Manifest{}, err
	}
	var images []ocispec.Descriptor
	for _, e := range entries {
		images = append(images, e.desc)
	}
	root, err := image.Join(images, annotations)
	if err != nil {
		return image.Manifest{}, err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	known := map[digest.Digest]bool{}
	for _, e := range entries {
		if known[e.desc.Digest] {
			continue
		}
		known[e.desc.Digest] = true
		group.Go(func() error { return p.bring(inner, e) })
	}
	if err := group.Wait(); err != nil {
		return image.Manifest{}, err
	}
	return root, p.putTags(ctx, root, p.tags)
}

// entry is a manifest that the index will name.
type entry struct {
	from     Member
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
		m.Client = cmp.Or(m.Client, p.client)
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
// leads to. named is what an index says of it.
func (m Member) entries(ctx context.Context, named ocispec.Descriptor, reference string, depth int) ([]entry, error) {
	read, err := m.Client.Manifest(ctx, m.Repository, reference)
	if err != nil {
		return nil, fmt.Errorf("%s of %s/%s: %w", reference, m.Client.Host(), m.Repository, err)
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
	e := entry{from: m, manifest: read, desc: named}
	if named.Platform != nil {
		return []entry{e}, nil
	}
	if len(read.References) == 0 {
		return nil, fmt.Errorf("%s: %w: it names no config", reference, registry.ErrManifestInvalid)
	}
	config, err := m.Client.Config(ctx, m.Repository, read.References[0].Digest)
	if err == nil {
		e.desc, err = read.Describe(config)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", reference, err)
	}
	e.desc.Annotations = named.Annotations
	return []entry{e}, nil
}

// bring puts a manifest by its digest, with its blobs where it comes from another
// repository. In its own the registry has them, and compares.
func (p *push) bring(ctx context.Context, e entry) error {
	name := e.manifest.Descriptor.Digest.String()
	sameHost := e.from.Client.Host() == p.client.Host()
	if sameHost && e.from.Repository == p.ref.Repository {
		return p.putManifest(ctx, e.manifest, name)
	}
	source, err := image.From(ctx, store{e.from.Client, e.from.Repository}, e.manifest, e.from.Client.Host()+"/"+e.from.Repository, nil)
	if err != nil {
		return err
	}
	opts := registry.PushOptions{Jobs: p.opts.Jobs, Progress: p.emit}
	if sameHost {
		opts.MountFrom = e.from.Repository
	}
	one := p.client.newPush(p.ref, opts)
	one.conn, one.info, one.tags = p.conn, p.info, nil
	_, err = one.send(ctx, source)
	if err == nil {
		err = one.putManifest(ctx, e.manifest, name)
	}
	p.mu.Lock()
	p.blobs = append(p.blobs, one.blobs...)
	maps.Copy(p.converted, one.converted)
	p.mu.Unlock()
	p.bytesSent.Add(one.bytesSent.Load())
	p.retries.Add(one.retries.Load())
	return errors.Join(err, source.Close())
}
