package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
)

// naming is that of this machine.
func (a *app) naming(ctx context.Context) (target.Naming, error) {
	host, err := a.defaultHost()
	return target.Naming{
		Host:       host,
		IsRegistry: func(host string) bool { return a.isRegistry(ctx, host) },
		Repository: a.Getenv(firstSet(a.Getenv, "GITEA_REPOSITORY", "GITHUB_REPOSITORY")),
	}, err
}

// isRegistry reports a registry that is configured, pinned or logged in to.
func (a *app) isRegistry(ctx context.Context, host string) bool {
	host, err := registry.NormalizeHost(host)
	if err != nil {
		return false
	}
	if isDockerHub(host) || slices.Contains(a.silent().knownHosts(), host) {
		return true
	}
	for _, variable := range []string{"GITEA_SERVER_URL", "GITHUB_SERVER_URL"} {
		if own, err := registry.NormalizeHost(a.Getenv(variable)); err == nil && own == host {
			return true
		}
	}
	config, err := a.dockerConfig()
	if err != nil {
		return false
	}
	for _, dir := range certs.DefaultDirs(config.Dir) {
		if _, err := os.Stat(filepath.Join(dir, host)); err == nil {
			return true
		}
	}
	found, err := config.Credential(ctx, dockerconfig.Place{Host: host}, io.Discard)
	return err == nil && !found.IsZero()
}

// parseImages reads arguments that are to be images.
func (a *app) parseImages(ctx context.Context, args []string) ([]target.Remote, error) {
	names, err := a.naming(ctx)
	if err != nil {
		return nil, err
	}
	var all []target.Remote
	for _, arg := range args {
		r, err := target.ParseRemote(arg, names)
		if err == nil && r.Name == "" {
			err = fault.Usage(fmt.Errorf("%q names no image: HOST/OWNER/NAME is needed", arg))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
