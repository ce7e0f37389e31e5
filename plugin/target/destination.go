// Package target says what the names on a command line mean: where a push goes
// and what else a registry is asked about. It asks nobody.
//
// It takes words and gives names; package registry checks their form. Begin with
// destination.go.
//
//   - destination.go: the DESTINATION of a push;
//   - remote.go: a registry, an owner, an image or a version of one, which the
//     other commands look at;
//   - naming.go: names that leave out their registry.
package target

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// Target is one push: a repository and the tags to set in it.
type Target struct {
	Host       string
	Repository string
	// Tags has no duplicates and, except before `--all-tags` has asked the
	// daemon, at least one element.
	Tags []string
}

// Familiar is the repository with its host.
func (t Target) Familiar() string { return t.Host + "/" + t.Repository }

func (t Target) String() string { return t.Familiar() + ":" + strings.Join(t.Tags, ",") }

// Remote is the target with the first of its tags.
func (t Target) Remote() Remote {
	owner, name, _ := strings.Cut(t.Repository, "/")
	r := Remote{Host: t.Host, Owner: owner, Name: name}
	if len(t.Tags) > 0 {
		r.Reference = t.Tags[0]
	}
	return r
}

// Destinations are the targets of one command, and what the user should know
// about how they were understood.
type Destinations struct {
	Targets []Target
	Notices []string
}

// ParseDestinations reads DESTINATION arguments. tags are those of --tag: a
// destination without a tag of its own takes them, one with a tag takes them
// in addition. Without either it is "latest", unless allTags leaves the tags
// to the daemon. Destinations in the same repository become one target.
func ParseDestinations(args, tags []string, allTags bool) (Destinations, error) {
	var d Destinations
	for _, arg := range args {
		parsed, err := parseDestination(arg, tags, allTags)
		if err != nil {
			return Destinations{}, err
		}
		if !allTags && len(tags) == 0 && !HasTag(arg) {
			d.Notices = append(d.Notices, "Using default tag: latest")
		}
		d.add(parsed)
	}
	return d, nil
}

func parseDestination(arg string, tags []string, allTags bool) (Target, error) {
	ref, err := registry.ParseReference(arg)
	if err != nil {
		return Target{}, err
	}
	if ref.Host == "" {
		return Target{}, fault.Usage(fault.WithHint(fmt.Errorf("destination %q names no registry", arg),
			fmt.Sprintf("write HOST/%s, or set DOCKER_GITEA_HOST", arg)))
	}
	t := Target{Host: ref.Host, Repository: ref.Repository}
	switch {
	case allTags && HasTag(arg):
		return Target{}, fault.Usage(fmt.Errorf("destination %q has a tag, but --all-tags pushes every tag under its own name", arg))
	case allTags:
	case HasTag(arg):
		t.Tags = append([]string{ref.Tag}, tags...)
	case len(tags) > 0:
		t.Tags = slices.Clone(tags)
	default:
		t.Tags = []string{ref.Tag}
	}
	return t, nil
}

// HasTag reports whether a reference gives its tag.
func HasTag(arg string) bool { return strings.LastIndex(arg, ":") > strings.LastIndex(arg, "/") }

// add appends a target, or its tags to the target of the same repository.
func (d *Destinations) add(t Target) {
	i := slices.IndexFunc(d.Targets, func(known Target) bool { return known.Familiar() == t.Familiar() })
	if i < 0 {
		d.Targets = append(d.Targets, Target{Host: t.Host, Repository: t.Repository})
		i = len(d.Targets) - 1
	}
	for _, tag := range t.Tags {
		if !slices.Contains(d.Targets[i].Tags, tag) {
			d.Targets[i].Tags = append(d.Targets[i].Tags, tag)
		}
	}
}

// CheckTags refuses --tag values that are no tags.
func CheckTags(tags []string) error {
	if err := (registry.PushOptions{Tags: tags}).Validate(); err != nil {
		i := slices.IndexFunc(tags, isReference)
		if i >= 0 {
			return fault.Usage(fault.WithHint(fmt.Errorf("--tag %q is not a tag", tags[i]), "a whole reference is given as a DESTINATION; there may be several"))
		}
		return fault.Usage(err)
	}
	return nil
}

// isReference tells HOST/OWNER/NAME and NAME:TAG from the name of a branch.
func isReference(tag string) bool {
	first, rest, found := strings.Cut(tag, "/")
	return found && (strings.ContainsAny(first, ".:") || strings.Contains(rest, ":") || first == "localhost")
}
