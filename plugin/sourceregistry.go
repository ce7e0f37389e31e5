package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// registryPrefix says that SOURCE is an image of a registry. It is skopeo's word.
const registryPrefix = "docker://"

// Docker Hub is called by one name, and is found at another.
const (
	dockerHub     = "docker.io"
	dockerHubHost = "registry-1.docker.io"
)

// remoteImage is an image of a registry as a SOURCE.
type remoteImage struct {
	host, repository string
	// version is a tag or a digest.
	version string
}

func (r remoteImage) String() string {
	if strings.Contains(r.version, ":") {
		return r.host + "/" + r.repository + "@" + r.version
	}
	return r.host + "/" + r.repository + ":" + r.version
}

// parseRemoteImage reads [HOST/]NAME[:TAG][@DIGEST] as docker does: without a
// host it is on Docker Hub, without a tag it is "latest", and a digest counts
// more than a tag beside it.
func parseRemoteImage(name string) (remoteImage, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return remoteImage{}, fault.Usage(fmt.Errorf("%s%s: %w", registryPrefix, name, err))
	}
	host, err := registry.NormalizeHost(reference.Domain(named))
	if err != nil {
		return remoteImage{}, fault.Usage(err)
	}
	r := remoteImage{host: host, repository: reference.Path(named), version: "latest"}
	if tagged, ok := named.(reference.Tagged); ok {
		r.version = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.version = digested.Digest().String()
	}
	return r, nil
}

// fromRegistry pushes what a registry holds. Its credential and TLS settings are
// that registry's own, and never those of the destination (see inquiry). To the
// registry that it is in, blobs are mounted.
func (p *pusher) fromRegistry(ctx context.Context) error {
	from := p.plan.source.remote
	client, err := p.client(ctx, from.host, from.repository)
	if err != nil {
		return err
	}
	for _, t := range p.plan.targets {
		s := p.plan.settings[t.host]
		push := s.pushOptions()
		if push.Source, err = client.Source(ctx, from.repository, from.version, &image.Options{Platform: s.platform}); err != nil {
			return fault.Push(sourceFailure(from, err))
		}
		if t.host == from.host {
			push.MountFrom = from.repository
		}
		if err := errors.Join(p.one(ctx, t, push), push.Source.Close()); err != nil {
			return err
		}
	}
	return nil
}

// sourceFailure says that it is the source which cannot be read.
func sourceFailure(from remoteImage, err error) error {
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrRepositoryUnknown) {
		return fmt.Errorf("no image %s: %w", from, err)
	}
	return fmt.Errorf("read %s: %w", from, err)
}
