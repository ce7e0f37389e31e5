package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// target is one push: a repository and the tags to set in it.
type target struct {
	host       string
	repository string
	// tags has no duplicates and, except before `--all-tags` has asked the
	// daemon, at least one element.
	tags []string
}

// familiar is the repository with its host.
func (t target) familiar() string { return t.host + "/" + t.repository }

func (t target) String() string { return t.familiar() + ":" + strings.Join(t.tags, ",") }

// destinations are the targets of one command, and what the user should know
// about how they were understood.
type destinations struct {
	targets []target
	notices []string
}

// parseDestinations reads DESTINATION arguments. tags are those of --tag: a
// destination without a tag of its own takes them, one with a tag takes them
// in addition. Without either it is "latest", unless allTags leaves the tags
// to the daemon. Destinations in the same repository become one target.
func parseDestinations(args, tags []string, allTags bool) (destinations, error) {
	var d destinations
	for _, arg := range args {
		parsed, err := parseDestination(arg, tags, allTags)
		if err != nil {
			return destinations{}, err
		}
		if !allTags && len(tags) == 0 && !hasTag(arg) {
			d.notices = append(d.notices, "Using default tag: latest")
		}
		d.add(parsed)
	}
	return d, nil
}

func parseDestination(arg string, tags []string, allTags bool) (target, error) {
	ref, err := registry.ParseReference(arg)
	if err != nil {
		return target{}, err
	}
	if ref.Host == "" {
		return target{}, fault.Usage(fault.WithHint(fmt.Errorf("destination %q names no registry", arg),
			fmt.Sprintf("write HOST/%s, or set DOCKER_GITEA_HOST", arg)))
	}
	t := target{host: ref.Host, repository: ref.Repository}
	switch {
	case allTags && hasTag(arg):
		return target{}, fault.Usage(fmt.Errorf("destination %q has a tag, but --all-tags pushes every tag under its own name", arg))
	case allTags:
	case hasTag(arg):
		t.tags = append([]string{ref.Tag}, tags...)
	case len(tags) > 0:
		t.tags = slices.Clone(tags)
	default:
		t.tags = []string{ref.Tag}
	}
	return t, nil
}

// hasTag reports whether a reference gives its tag.
func hasTag(arg string) bool { return strings.LastIndex(arg, ":") > strings.LastIndex(arg, "/") }

// add appends a target, or its tags to the target of the same repository.
func (d *destinations) add(t target) {
	i := slices.IndexFunc(d.targets, func(known target) bool { return known.familiar() == t.familiar() })
	if i < 0 {
		d.targets = append(d.targets, target{host: t.host, repository: t.repository})
		i = len(d.targets) - 1
	}
	for _, tag := range t.tags {
		if !slices.Contains(d.targets[i].tags, tag) {
			d.targets[i].tags = append(d.targets[i].tags, tag)
		}
	}
}

// checkTags refuses --tag values that are no tags.
func checkTags(tags []string) error {
	if err := (registry.PushOptions{Tags: tags}).Validate(); err != nil {
		i := slices.IndexFunc(tags, isReference)
		if i >= 0 {
			return fault.Usage(fault.WithHint(fmt.Errorf("--tag %q is no tag", tags[i]), "a whole reference is given as a DESTINATION; there may be several"))
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

// defaultDestination is the SOURCE itself where it names a registry.
func defaultDestination(src source) (string, error) {
	if src.kind != sourceDaemon {
		return "", fault.Usage(errors.New("a DESTINATION is needed: HOST/OWNER/NAME[:TAG]"))
	}
	ref, err := registry.ParseReference(src.name)
	if err == nil && ref.Host != "" {
		return src.name, nil
	}
	return "", fault.Usage(fault.WithHint(fmt.Errorf("%q names no registry, so a DESTINATION is needed", src.name),
		fmt.Sprintf("docker gitea push %s HOST/OWNER/%s", src.name, baseName(src.name))))
}

func baseName(name string) string { return name[strings.LastIndex(name, "/")+1:] }
