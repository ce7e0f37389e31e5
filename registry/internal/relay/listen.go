package relay

import (
	"context"
	"net"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
)

// listen opens the port of the last time, under the name of the last time,
// since a daemon remembers by them what it has sent; or any port.
func listen(ctx context.Context, j Job) (net.Listener, string, error) {
	entry, found := j.Cache.Loopback()
	var config net.ListenConfig
	if found {
		if l, err := config.Listen(ctx, "tcp4", entry.Address); err == nil {
			return l, entry.Repository, nil
		}
	}
	l, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	repository := registry.NewLoopbackRepository()
	if !found {
		j.Cache.KeepLoopback(cache.Place{Address: l.Addr().String(), Repository: repository})
	}
	return l, repository, nil
}
