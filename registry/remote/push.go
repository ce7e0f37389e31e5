package remote

import (
	"context"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
)

// Push implements [registry.RegistryClient].
func (c *Client) Push(ctx context.Context, imageRef string, opts registry.PushOptions) error {
	ref, err := c.destination(imageRef)
	if err != nil {
		return err
	}
	if err := opts.Validate(); err != nil {
		return err
	}
	return push.Run(ctx, c.pushes(), ref, opts)
}

// pushes is what all pushes of the client have in common.
func (c *Client) pushes() push.Env {
	return push.Env{
		Host: c.Host(), Connect: c.conn, Cache: c.cache, Traits: c.traits, Limits: c.limits, Batch: c.batch, Save: c.opts.Save, Foreign: c.foreign,
		Retries: c.retries, Backoff: c.opts.Backoff, StallTimeout: c.opts.StallTimeout, Logger: c.opts.Logger,
	}
}

// home is repository with the client's host in front, which may be there already.
// Without the host, the first part of the repository's own name may look like
// one.
func (c *Client) home(repository string) string {
	return c.Host() + "/" + strings.TrimPrefix(repository, c.Host()+"/")
}

// destination parses imageRef and compares its host with the client's.
func (c *Client) destination(imageRef string) (registry.Reference, error) {
	ref, err := registry.ParseReference(imageRef)
	if err != nil {
		return ref, err
	}
	if ref.Host != "" && ref.Host != c.Host() {
		return ref, &registry.NameError{Input: imageRef, Fault: "the client is for " + c.Host(), Suggestion: registry.Reference{Host: c.Host(), Repository: ref.Repository, Tag: ref.Tag}.String()}
	}
	ref.Host = c.Host()
	return ref, nil
}
