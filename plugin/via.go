package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Why a push does not go through the daemon.
var (
	errExportQuicker = errors.New("the export is quicker")
	errPodman        = errors.New("podman pushes to a registry with TLS alone, and not to a port of this machine")
	// The export of such an image has no layers at all; what is lacking is
	// found before anything is sent.
	errLacksLayers = errors.New("it does not hold all layers of the image")
)

// throughDaemon has the daemon push an image to a loopback port, or says why it
// does not: that cannot be done or, unless the user wants it, the export is
// quicker.
func (p *pusher) throughDaemon(ctx context.Context, s options.Settings, found daemon.Image, client *remote.Client, to registry.Loopback) error {
	info, err := p.daemon.Info(ctx)
	if err != nil {
		return err
	}
	if p.daemon.Podman() {
		return errPodman
	}
	if fault := exportOnly(s, info, found); fault != "" {
		return errors.New(fault)
	}
	if found.Lacks(s.Platform) {
		return errLacksLayers
	}
	if s.Via == options.ViaAuto {
		known := client.Pushed(diffIDs(found))
		if quicker, err := p.quicker(ctx, info, found, known); err != nil || !quicker {
			return cmp.Or(err, errExportQuicker)
		}
	}
	return p.daemon.PushThrough(ctx, found.ID, s.Platform, info.Containerd(), to)
}

// tellingWhy has one image of a run tried by the daemon where the daemon does not
// reach the port. That one's progress says why the images are read instead.
func (p *pusher) tellingWhy(via func(context.Context, registry.Loopback) error, tell func(registry.Event)) func(context.Context, registry.Loopback) error {
	if via == nil {
		return nil
	}
	return func(ctx context.Context, to registry.Loopback) error {
		if p.unreached.Load() {
			return daemon.ErrUnreached
		}
		err := via(ctx, to)
		if errors.Is(err, daemon.ErrUnreached) && !p.unreached.Swap(true) {
			tell(registry.Event{Note: fmt.Sprintf("the daemon cannot push: %v; reading the image instead (--via export does so at once)", daemon.ErrUnreached)})
		}
		return err
	}
}

func diffIDs(found daemon.Image) []digest.Digest {
	var ids []digest.Digest
	for _, id := range found.RootFS.Layers {
		ids = append(ids, digest.Digest(id))
	}
	return ids
}

// exportOnly says why only an export does what is wanted.
func exportOnly(s options.Settings, info daemon.Info, found daemon.Image) string {
	switch {
	case len(found.RepoTags) == 0:
		return "the image has no name, and would be removed with its temporary one"
	case s.Platform != "" && !info.PushesPlatform():
		return "the daemon pushes what it has, whatever the platform"
	case !info.Containerd() && (s.Level != 0 || s.Compression != image.Gzip):
		return "the daemon compresses with gzip, at its own level"
	}
	return ""
}

// quicker reports whether a push by the daemon beats its export, with known
// of the image's layers, from the bottom on, pushed before in whichever way.
//
// The containerd store has the layers compressed, exports them slowly and
// pushes them fast. The classic store compresses a layer that it does not
// know on one core, three times as slowly as it exports and this program
// compresses; what is known costs nothing, while its export always has
// everything in it.
func (p *pusher) quicker(ctx context.Context, info daemon.Info, found daemon.Image, known int) (bool, error) {
	switch {
	case !info.SharesLoopback():
		return false, nil
	case info.Containerd():
		return true, nil
	case known == 0:
		return false, nil
	}
	size, err := p.daemon.TopSize(ctx, found.ID, len(found.RootFS.Layers)-known)
	return size < found.Size/3, err
}

// abandoned is how long ago a name was given that nobody can need any more.
const abandoned = 24 * time.Hour

// removeLeftovers takes away the temporary names of pushes that were killed.
func (p *pusher) removeLeftovers(ctx context.Context) error {
	names, err := p.daemon.Matching(ctx, "127.0.0.1:*/*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if left, ours := registry.ParseLeftover(name); ours {
			err = errors.Join(err, p.removeLeftover(ctx, name, left))
		}
	}
	return err
}

// removeLeftover removes a name if the push that gave it is no more: its port
// is free, and is kept so meanwhile, so that no push with the same name begins;
// or it was long ago, and it does not matter who has the port by now. A daemon that
// does not say when has not said that it was long ago.
func (p *pusher) removeLeftover(ctx context.Context, name string, left registry.Leftover) error {
	if left.Here {
		var config net.ListenConfig
		if l, err := config.Listen(ctx, "tcp4", left.Address); err == nil {
			return errors.Join(p.daemon.Untag(ctx, name), l.Close())
		}
	}
	found, err := p.daemon.Image(ctx, name)
	if _, gone := errors.AsType[*daemon.NotFoundError](err); gone {
		return nil // its push has ended
	}
	if tagged := found.Metadata.LastTagTime; err != nil || tagged.IsZero() || time.Since(tagged) < abandoned {
		return err
	}
	return p.daemon.Untag(ctx, name)
}
