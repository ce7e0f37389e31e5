package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"

	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
)

// fetch opens a layer that the daemon does not hold, at one of the registries
// that the image came from. The target has been asked already.
func (p *pusher) fetch(ctx context.Context, found daemon.Image, to target.Target, d digest.Digest) (io.ReadCloser, error) {
	var errs []error
	for _, origin := range found.Origins() {
		if origin.Host == to.Host && origin.Repository == to.Repository {
			continue
		}
		blob, err := p.openBlob(ctx, origin, d)
		if err == nil {
			return blob, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, errors.New("the daemon knows no other registry that the image could be in")
	}
	return nil, errors.Join(errs...)
}

func (p *pusher) openBlob(ctx context.Context, from daemon.Origin, d digest.Digest) (io.ReadCloser, error) {
	client, err := p.client(ctx, from.Host, from.Repository)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", from.Host, from.Repository, err)
	}
	return client.Blob(ctx, from.Repository, d)
}

// inquiry are the options for host. The command line and the variables that carry
// or weaken trust are about registries that are pushed to; others are read from
// with what the configuration file says, and the rest of the environment.
func (p *pusher) inquiry(host string) (options.Inquiry, error) {
	if s, planned := p.plan.settings[host]; planned {
		return s.Inquiry, nil
	}
	l := p.plan.layers
	l.Flags, l.Getenv = pflag.NewFlagSet("", pflag.ContinueOnError), options.WithoutTrust(l.Getenv)
	var i options.Inquiry
	_, err := l.Resolve(&i, host)
	return i, err
}
