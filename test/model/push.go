package model

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// push is the event that everything is about: an image that a call of the plugin
// brings into a repository.
type push struct {
	asked

	source           source
	user, host, repo int
	tags             []string
	// match narrows a copy of all tags.
	match                     string
	verify, dryRun, noClobber bool
	trouble                   trouble

	// ended is what came of it.
	ended ended
}

func (p *push) name() string { return "push" }

func (p *push) String() string {
	options := append([]string{fmt.Sprintf("user %d pushes %s to host %d, repository %d:%s", p.user, p.source, p.host, p.repo, strings.Join(p.tags, ","))}, p.options()...)
	return strings.Join(options, " ") + p.trouble.String()
}

// options are those on the command line that are about the image.
func (p *push) options() (all []string) {
	add := func(option, value string) {
		if value != "" {
			all = append(all, option, value)
		}
	}
	add("--platform", p.platform)
	algorithm, level, _ := strings.Cut(string(p.compression), ":")
	add("--compression", algorithm)
	add("--compression-level", level)
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"--force-compression", p.force}, {"--no-attestations", p.noAttestations}, {"--verify", p.verify}, {"--dry-run", p.dryRun}, {"--no-clobber", p.noClobber},
	} {
		if o.set {
			all = append(all, o.name)
		}
	}
	add("--match", p.match)
	return all
}

// ended is what a call of the plugin has shown of itself.
type ended struct {
	code           int
	report         v1alpha1.Push
	stdout, stderr string
}

func (p *push) do(w *world) error { return perform(w, []*push{p}) }

// again is the same push without its trouble, which may lead to other tags by now.
func (p *push) again() *push {
	other := *p
	other.trouble, other.verify, other.dryRun, other.ended = trouble{}, false, false, ended{}
	return &other
}

// parts are the pushes of single images that it amounts to, of what there is now.
func (p *push) parts(w *world) []*push {
	p.source.remotes = slices.Clone(p.source.remotes)
	for i, r := range p.source.remotes {
		p.source.remotes[i] = r.resolved(w)
	}
	if p.trouble.kind == sourceMoved { // one that is named twice may be read before and after
		first := p.source.remotes[0]
		p.source.remotes = append([]remote{first}, slices.DeleteFunc(p.source.remotes[1:], func(r remote) bool { return r.host == first.host && r.repo == first.repo && r.version == first.version })...)
	}
	if p.source.via != viaAllTags {
		return []*push{p}
	}
	from := p.source.remotes[0]
	h := w.hosts[from.host]
	var all []*push
	for _, tag := range sortedKeys(h.tags(h.repositories[from.repo])) {
		matched, err := path.Match(p.match, tag)
		must(err)
		if p.match != "" && !matched || !p.source.followed && isOfReferrers(tag) {
			continue
		}
		one := *p
		one.tags = []string{tag}
		one.source.remotes = []remote{{host: from.host, repo: from.repo, version: tag}}
		one.source.asTags = p.match == ""
		all = append(all, &one)
	}
	return all
}

// targets are the tags that a push sets, as [world.snapshots] has them.
func (p *push) targets(w *world) []string {
	var all []string
	h := w.hosts[p.host]
	for _, tag := range p.tags {
		all = append(all, target(p.host, h.repositories[p.repo], h.stored(tag)))
	}
	return all
}

// repository is the name of the destination.
func (p *push) repository(w *world) string {
	h := w.hosts[p.host]
	return h.address() + "/" + h.repositories[p.repo]
}

// arguments are those of the call for one push, or for all tags.
func (p *push) arguments(w *world) []string {
	switch p.source.via {
	case viaTag:
		return append(append([]string{"tag", "--plain-http"}, p.options()...), append([]string{p.source.argument(w)}, p.words(w)...)...)
	case viaJoin:
		args := append([]string{"join", "--plain-http"}, p.options()...)
		for _, tag := range p.tags {
			args = append(args, "-t", p.repository(w)+":"+tag)
		}
		for _, r := range p.source.remotes {
			args = append(args, r.argument(w))
		}
		return args
	}
	args := append([]string{"push", "--plain-http", "--format", "json", "--progress", "plain"}, p.options()...)
	from := p.source.argument(w)
	if p.source.isDaemon() {
		args = append(args, "--via", p.source.via)
	}
	switch p.source.via {
	case viaPush:
		from = "docker://" + from
	case viaCopy, viaAllTags:
		args[0] = "copy"
		if !p.source.followed {
			args = append(args, "--no-referrers")
		}
	}
	if p.source.via == viaAllTags {
		r := p.source.remotes[0]
		return append(args, "--all-tags", w.hosts[r.host].address()+"/"+w.hosts[r.host].repositories[r.repo], p.repository(w))
	}
	if p.source.second != nil {
		args = append(args, "--image", names[p.source.chosen])
	}
	for _, tag := range p.tags {
		args = append(args, "--tag", tag)
	}
	return append(args, from, p.repository(w))
}

// words are the tags as the command tag takes them.
func (p *push) words(w *world) []string {
	if p.repo == p.source.remotes[0].repo {
		return p.tags
	}
	var all []string
	for _, tag := range p.tags {
		all = append(all, p.repository(w)+":"+tag)
	}
	return all
}

// invoke runs the plugin as docker does, for one push, or for several with --to.
func invoke(w *world, pushes []*push) ended {
	first := pushes[0]
	args := first.arguments(w)
	if len(pushes) > 1 {
		h := w.hosts[first.host]
		args = append([]string{"push", "--plain-http", "--format", "json", "--progress", "plain"}, first.options()...)
		for _, p := range pushes {
			if p.source.isDaemon() {
				args = append(args, "--via", p.source.via)
			}
			args = append(args, map[bool]string{true: "docker://"}[p.source.kind == fromRegistry]+p.source.argument(w))
		}
		args = append(args, "--to", h.address()+"/"+path.Dir(h.repositories[0])+"/")
	}
	return run(w, pushes, args)
}

func run(w *world, pushes []*push, args []string) ended {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	first := pushes[0]
	defer first.arm(w, cancel)()
	var stdout, stderr bytes.Buffer
	socket := w.store.socket
	if slices.ContainsFunc(pushes, func(p *push) bool { return p.source.kind == fromClassic }) {
		socket = w.classic.socket
	}
	env := map[string]string{
		"DOCKER_CONFIG": w.dir, "DOCKER_HOST": "unix://" + socket,
		"GOMEMLIMIT":           "off", // or it is set for the process
		"DOCKER_GITEA_RETRIES": first.trouble.retries(),
	}
	code := plugin.Main(ctx, plugin.System{
		Program: "docker-gitea", Args: append([]string{"gitea"}, args...), Version: "model", CacheDir: w.cache(first.user),
		LookupEnv: func(key string) (string, bool) { value, set := env[key]; return value, set && value != "" },
		Stdin:     first.source.stdin(), Stdout: &stdout, Stderr: &stderr,
		Browser: func() func(string) error { return nil },
	})
	return ended{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// reports are those of a call, by the repository and the tag.
func (e ended) reports() map[string]v1alpha1.Push {
	var list struct {
		v1alpha1.Push
		Items []v1alpha1.Push `json:"items"`
	}
	all := map[string]v1alpha1.Push{}
	if json.Unmarshal([]byte(e.stdout), &list) != nil { // what is no report, is none of this push
		return all
	}
	for _, r := range append(list.Items, list.Push) {
		if len(r.Spec.Tags) > 0 {
			all[r.Spec.Destination+":"+r.Spec.Tags[0]] = r
		}
	}
	return all
}
