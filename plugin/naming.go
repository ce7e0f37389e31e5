package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
)

// naming is what a name means that may lack its registry. The zero value adds
// nothing to any name.
type naming struct {
	// host is the registry of names that have none, or empty.
	host string
	// isRegistry reports a registry that this machine knows. Nil knows none.
	isRegistry func(host string) bool
	// repository is the name of what a job builds, as the job is told it.
	repository string
}

// naming is that of this machine.
func (a *app) naming(ctx context.Context) (naming, error) {
	host, err := a.defaultHost()
	return naming{
		host:       host,
		isRegistry: func(host string) bool { return a.isRegistry(ctx, host) },
		repository: a.Getenv(firstSet(a.Getenv, "GITEA_REPOSITORY", "GITHUB_REPOSITORY")),
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

// isOwner reports that a name looks like HOST/NAME and is OWNER/NAME: names of
// users have dots, and registries without owners are none of ours. What has a
// port is a registry, and so is what this machine knows as one.
func (n naming) isOwner(name string) bool {
	first, rest, found := strings.Cut(name, "/")
	rest, _, _ = strings.Cut(rest, ":") // a branch in the place of a tag has slashes
	return n.host != "" && found && rest != "" && !strings.Contains(rest, "/") &&
		strings.Contains(first, ".") && !strings.Contains(first, ":") &&
		(n.isRegistry == nil || !n.isRegistry(first))
}

// misread is what to do for who meant a registry.
func (n naming) misread(name string) string {
	first, rest, _ := strings.Cut(name, "/")
	return fmt.Sprintf("%s is OWNER/NAME on %s, which DOCKER_GITEA_HOST names; for a registry called %s, write %s:443/%s", name, n.host, first, first, rest)
}

// all are destinations with their registries, and what the user should know.
func (n naming) all(names []string) (whole, notices []string) {
	for _, name := range names {
		complete, told := n.whole(name)
		whole, notices = append(whole, complete), append(notices, told...)
	}
	return whole, notices
}

// whole is a destination with its registry, and what the user should know about
// how it was understood.
func (n naming) whole(name string) (whole string, notices []string) {
	first, rest, found := strings.Cut(name, "/")
	switch {
	case n.host == "" || strings.Contains(name, "://"):
		return name, nil
	case n.isOwner(name):
		notices, rest = append(notices, n.misread(name)), name
	case !found || !looksLikeHost(first):
		rest = name
	default:
		if host, err := registry.NormalizeHost(first); err != nil || host != n.host {
			return name, nil
		}
	}
	repository, tag := rest, ""
	if i := strings.Index(rest, ":"); i >= 0 {
		repository, tag = rest[:i], rest[i:]
	}
	folded := strings.ToLower(repository)
	if repository == n.repository {
		folded = registry.CorrectName(repository)
	}
	if folded != repository && folded != "" {
		notices = append(notices, fmt.Sprintf("%s is pushed as %s, which is how registries write it", repository, folded))
		repository = folded
	}
	return n.host + "/" + repository + tag, notices
}

func looksLikeHost(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost"
}
