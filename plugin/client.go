package plugin

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Docker Hub is called by one name, and is found at another.
const (
	dockerHub     = "docker.io"
	dockerHubHost = "registry-1.docker.io"
)

func isDockerHub(host string) bool {
	return host == dockerHub || strings.HasSuffix(host, "."+dockerHub)
}

// sends is what a client needs that sends images.
type sends struct {
	save image.SaveFunc
	rate *remote.Rate
}

// newClient makes the client for the host of a repository ("owner/name", "owner"
// or empty), with the credential for that. The zero sends is for one that only asks.
func (a *app) newClient(ctx context.Context, host, repository string, i options.Inquiry, config *dockerconfig.Config, s sends) (*remote.Client, error) {
	place := dockerconfig.Place{Host: host, PlainHTTP: i.PlainHTTP, Repository: repository}
	if host == dockerHub {
		host, place = dockerHubHost, dockerconfig.Place{Host: dockerconfig.DockerHub}
	}
	credential, err := a.credential(ctx, place, i.Connection, config)
	if err != nil {
		return nil, err
	}
	for _, line := range config.TakePassedOver() {
		a.tell(line)
	}
	return remote.New(i.RegistryConfig(host, credential, config.Dir), &remote.Options{
		Save:           s.save,
		Rate:           s.rate,
		Logger:         a.logger(),
		UserAgent:      programName + "/" + a.Version,
		ConnectTimeout: i.ConnectTimeout,
		StallTimeout:   i.StallTimeout,
		Retries:        i.Tries(),
		CacheDir:       a.cacheDir(),
		Together:       true,
	})
}

// connect makes the client for r from the options of a command, which are those
// of [options.Inquiry]. others are what the command names beside it.
func (a *app) connect(ctx context.Context, flags *pflag.FlagSet, r target.Remote, others ...target.Remote) (*remote.Client, error) {
	if r.Misread != "" {
		a.tell(r.Misread)
	}
	named := []string{r.Host}
	for _, other := range others {
		named = append(named, other.Host)
	}
	config, l, err := a.configured(flags, named...)
	if err != nil {
		return nil, err
	}
	var i options.Inquiry
	if _, err := l.Resolve(&i, r.Host); err != nil {
		return nil, err
	}
	if i.PlainHTTP && r.Port443 {
		return nil, target.RefusePort443(r.Host)
	}
	i.PlainHTTP = i.PlainHTTP || r.PlainHTTP
	return a.newClient(ctx, r.Host, strings.Trim(r.Repository(), "/"), i, config, sends{})
}

// cacheDir is empty, so that nothing is remembered, for a user without a directory.
func (a *app) cacheDir() string {
	dir := a.CacheDir
	if dir == "" {
		var err error
		if dir, err = home.Cache(); err != nil {
			return ""
		}
	}
	return filepath.Join(dir, programName)
}
