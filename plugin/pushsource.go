package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// opened is an image that [image.Source] reads, for one push; each further push
// opens it anew.
type opened struct {
	source *image.Source
	close  func() error
}

// first keeps what was opened to look at its layers for the push that follows.
type first struct{ kept *opened }

// look gives the names of the layers of what open opens.
func (f *first) look(open func() (*opened, error)) (layers []string, err error) {
	if f.kept, err = open(); err != nil {
		return nil, err
	}
	for _, blob := range f.kept.source.Left() {
		layers = append(layers, cmp.Or(blob.Digest.String(), blob.Name))
	}
	return layers, nil
}

// take is what was kept, once, or else what open opens.
func (f *first) take(open func() (*opened, error)) (*opened, error) {
	if kept := f.kept; kept != nil {
		f.kept = nil
		return kept, nil
	}
	return open()
}

// drop closes what was kept and not taken.
func (f *first) drop() error {
	if f.kept == nil {
		return nil
	}
	kept := f.kept
	f.kept = nil
	return kept.close()
}

// fileImage is an image on the disk or on standard input as an [origin].
type fileImage struct {
	p      *pusher
	source source.Source
	first  first
}

func (f *fileImage) open(ctx context.Context, s options.Settings) (*opened, error) {
	opts := s.ImageOptions()
	opts.Name = cmp.Or(s.Image, f.source.Image)
	found, closeSource, err := f.source.Open(func() io.ReadCloser { return interruptible(ctx, f.p.Stdin) }, opts)
	if err != nil {
		return nil, err
	}
	return &opened{found, closeSource}, nil
}

func (f *fileImage) order(ctx context.Context, t target.Target) (order, error) {
	s := f.p.plan.settings[t.Host]
	found, err := f.first.take(func() (*opened, error) { return f.open(ctx, s) })
	if err != nil {
		return order{}, err
	}
	o := order{PushOptions: s.PushOptions(), done: found.close}
	o.Source = found.source
	return o, nil
}

func (f *fileImage) layers(ctx context.Context) ([]string, error) {
	return f.first.look(func() (*opened, error) { return f.open(ctx, f.p.plan.general) })
}

func (f *fileImage) drop() error { return f.first.drop() }

// registryImage is an image of a registry as an [origin]. Its credential and TLS
// settings are that registry's own, and never those of the destination (see
// inquiry). To the registry that it is in, blobs are mounted.
type registryImage struct {
	p      *pusher
	from   source.RegistryImage
	client *remote.Client
	first  first
}

func (r *registryImage) open(ctx context.Context, s options.Settings) (*opened, error) {
	found, err := r.client.Source(ctx, r.from.Repository, r.from.Version, s.ImageOptions())
	if err != nil {
		return nil, fault.Push(sourceFailure(r.from, err))
	}
	return &opened{found, found.Close}, nil
}

func (r *registryImage) order(ctx context.Context, t target.Target) (order, error) {
	s := r.p.plan.settings[t.Host]
	found, err := r.first.take(func() (*opened, error) { return r.open(ctx, s) })
	if err != nil {
		return order{}, err
	}
	o := order{PushOptions: s.PushOptions(), done: found.close}
	o.Source = found.source
	if s.IncludeForeign {
		o.Fetch = func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
			return r.client.Blob(ctx, r.from.Repository, d)
		}
	}
	if t.Host == r.from.Host {
		o.MountFrom = r.from.Repository
	}
	if subjects := found.source.Manifests(); len(subjects) > 0 && !r.p.plan.noReferrers {
		o.follow = func(ctx context.Context, to *remote.Client) (int, error) {
			return r.referring(ctx, to, t.Repository, subjects)
		}
	}
	return o, nil
}

func (r *registryImage) layers(ctx context.Context) ([]string, error) {
	return r.first.look(func() (*opened, error) { return r.open(ctx, r.p.plan.general) })
}

// referring copies to a repository what refers to any of subjects.
func (r *registryImage) referring(ctx context.Context, to *remote.Client, repository string, subjects []digest.Digest) (int, error) {
	from := remote.Member{Client: r.client, Repository: r.from.Repository}
	return to.CopyReferrers(ctx, repository, from, subjects, r.p.plan.referrers())
}

func (r *registryImage) drop() error { return r.first.drop() }

// sourceFailure says that it is the source which cannot be read.
func sourceFailure(from source.RegistryImage, err error) error {
	switch {
	case errors.Is(err, registry.ErrManifestUnknown):
		return fault.WithHint(fmt.Errorf("no image %s: %w", from, err), listing(from))
	case errors.Is(err, registry.ErrRepositoryUnknown):
		return fault.WithHint(fmt.Errorf("no image %s: %w", from, err), "docker gitea ls "+path.Dir(from.Name()))
	}
	return fmt.Errorf("read %s: %w", from, err)
}

// listing is what shows the tags that there are of images.
func listing(images ...source.RegistryImage) string {
	var lines []string
	for _, image := range images {
		lines = append(lines, "docker gitea ls "+image.Name())
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "; ")
}
