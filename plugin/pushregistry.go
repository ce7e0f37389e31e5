package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// fromRegistry pushes what a registry holds. Its credential and TLS settings are
// that registry's own, and never those of the destination (see inquiry). To the
// registry that it is in, blobs are mounted.
func (p *pusher) fromRegistry(ctx context.Context) error {
	from := p.plan.source.Remote
	client, err := p.client(ctx, from.Host, from.Repository)
	if err != nil {
		return err
	}
	for _, t := range p.plan.Targets {
		s := p.plan.settings[t.Host]
		push := s.PushOptions()
		if push.Source, err = client.Source(ctx, from.Repository, from.Version, &image.Options{Platform: s.Platform}); err != nil {
			return fault.Push(sourceFailure(from, err))
		}
		if t.Host == from.Host {
			push.MountFrom = from.Repository
		}
		if err := errors.Join(p.one(ctx, t, push), push.Source.Close()); err != nil {
			return err
		}
	}
	return nil
}

// sourceFailure says that it is the source which cannot be read.
func sourceFailure(from source.RegistryImage, err error) error {
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrRepositoryUnknown) {
		return fmt.Errorf("no image %s: %w", from, err)
	}
	return fmt.Errorf("read %s: %w", from, err)
}
