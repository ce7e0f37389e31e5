package target

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Naming is what a name means that may lack its registry. The zero value adds
// nothing to any name.
type Naming struct {
	// Host is the registry of names that have none, or empty.
	Host string
	// IsRegistry reports a registry that this machine knows. Nil knows none.
	IsRegistry func(host string) bool
	// Repository is the name of what a job builds, as the job is told it.
	Repository string
}

// isOwner reports that the first part of a name looks like a host and is an owner:
// names of users have dots. What has a port is a registry, and so are an address and
// what this machine knows as one.
func (n Naming) isOwner(first string) bool {
	_, noAddress := netip.ParseAddr(first)
	return n.Host != "" && strings.Contains(first, ".") && !strings.Contains(first, ":") && noAddress != nil &&
		(n.IsRegistry == nil || !n.IsRegistry(first))
}

// Misread is what to do for who meant a registry.
func (n Naming) Misread(name string) string {
	first, rest, _ := strings.Cut(name, "/")
	return fmt.Sprintf("%s begins with an owner of %s, which DOCKER_GITEA_HOST names; for a registry called %s, write %s:443/%s", name, n.Host, first, first, rest)
}

// All are destinations with their registries, and what the user should know.
func (n Naming) All(names []string) (whole, notices []string) {
	for _, name := range names {
		complete, told := n.whole(name)
		whole, notices = append(whole, complete), append(notices, told...)
	}
	return whole, notices
}

// whole is a destination with its registry, and what the user should know about
// how it was understood.
func (n Naming) whole(name string) (whole string, notices []string) {
	first, rest, found := strings.Cut(name, "/")
	switch {
	case n.Host == "" || strings.Contains(name, "://"):
		return name, nil
	case found && n.isOwner(first):
		notices, rest = append(notices, n.Misread(name)), name
	case !found || !looksLikeHost(first):
		rest = name
	default:
		if host, err := registry.NormalizeHost(first); err != nil || host != n.Host {
			return name, nil
		}
	}
	repository, tag := rest, ""
	if i := strings.Index(rest, ":"); i >= 0 {
		repository, tag = rest[:i], rest[i:]
	}
	folded := strings.ToLower(repository)
	if repository == n.Repository {
		folded = registry.CorrectName(repository)
	}
	if folded != repository && folded != "" {
		notices = append(notices, fmt.Sprintf("%s is pushed as %s, which is how registries write it", repository, folded))
		repository = folded
	}
	return n.Host + "/" + repository + tag, notices
}

func looksLikeHost(first string) bool {
	return strings.ContainsAny(first, ".:") || first == "localhost"
}
