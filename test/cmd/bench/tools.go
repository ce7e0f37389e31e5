//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// tool is a program that pushes.
type tool struct {
	name string
	// args is the command for a push of subject to ref.
	args func(s subject, ref string) []string
	// daemon says that the work is done by the docker daemon, so that the
	// program's own processor time and memory say little.
	daemon bool
	// plugin is the program that docker has to find as docker-gitea, if any.
	plugin string
	// first is what pushed before, where something did; nil is the tool itself.
	first *tool
}

// subject is an image as the programs find it.
type subject struct {
	// archive is the path of what `docker save` wrote, layout that of an OCI
	// layout in which the image has the tag "latest".
	archive, layout string
	// tag is its name in the docker daemon at host.
	tag, host string
	// from is its name in another registry, whose certificate authority signs.
	from, authority string
	// services are the images of a compose file, by their names in the daemon.
	compose  string
	services []string
	// crowd is a folder of layouts.
	crowd string
}

// tools are the programs by what they push from. Ours is the first of each.
type tools struct {
	archive, zstd, layout, daemon []tool
	// containerd is daemon without those that a current engine refuses.
	containerd []tool
	// streaming are those that do not take a large layer into memory.
	streaming []tool
	// jobs, chunks and levels are ours with other values than the defaults, which
	// come first.
	jobs, chunks, levels []tool
	// copying are for one image of another registry, copyingAll for all tags of one.
	copying, copyingAll []tool
	// tagging and joining are for what the registry has.
	tagging, joining []tool
	// composing are for the images of a project.
	composing []tool
	// crowding are for many images, each by a program of its own.
	crowding []tool
	ours     string
}

// The peers that an expectation names.
const (
	dockerPush  = "docker push"
	plainSkopeo = "skopeo"
	skopeoGzip  = "skopeo, gzip"
)

// pushByDocker is docker push, of an image that has another name.
func pushByDocker(docker string) tool {
	return tool{name: dockerPush, daemon: true, args: func(s subject, ref string) []string {
		return []string{"sh", "-c", `"$1" tag "$2" "$3" && exec "$1" push --quiet "$3"`, "sh", docker, s.tag, ref}
	}}
}

// programs are those that are compared: ours, and the others by name.
type programs struct {
	ours string
	path map[string]string
}

func findPrograms(ctx context.Context, dir string) (p programs, err error) {
	if p.ours, err = build(ctx, dir); err != nil {
		return p, err
	}
	p.path = map[string]string{}
	for _, name := range []string{"crane", "regctl", "oras", "docker"} {
		if p.path[name], err = servers.Program(name); err != nil {
			return p, err
		}
	}
	if p.path["skopeo"], err = exec.LookPath("skopeo"); err != nil {
		return p, fmt.Errorf("find skopeo: %w", err)
	}
	return p, nil
}

func (p programs) push(source func(subject) string, options ...string) tool {
	name := strings.Join(append([]string{"docker-gitea push"}, options...), " ")
	return tool{name: name, args: func(s subject, ref string) []string {
		return append(append([]string{p.ours, "push", "--quiet"}, options...), source(s), ref)
	}}
}

// variants are pushes with the default of an option and with other values of it, which
// have the peers' place. What base has applies to all.
func (p programs) variants(source func(subject) string, base []string, option string, values ...string) []tool {
	all := []tool{p.push(source, base...)}
	for _, value := range values {
		t := p.push(source, append(slices.Clone(base), option, value)...)
		t.name = option + " " + value
		all = append(all, t)
	}
	return all
}

// byDocker is t as docker starts it, as which it is compared with docker push.
func (p programs) byDocker(t tool) tool {
	direct := t.args
	t.name = strings.Replace(t.name, "docker-gitea", "docker gitea", 1)
	t.plugin = p.ours
	t.args = func(s subject, ref string) []string {
		return append([]string{p.path["docker"], "gitea"}, direct(s, ref)[1:]...)
	}
	return t
}

func (p programs) skopeo(source func(subject) []string, options ...string) tool {
	return tool{name: plainSkopeo, args: func(s subject, ref string) []string {
		args := append([]string{p.path["skopeo"], "copy", "--quiet", "--insecure-policy"}, options...)
		return append(append(args, source(s)...), "docker://"+ref)
	}}
}

func (p programs) crane(source func(subject) string) tool {
	return tool{name: "crane", args: func(s subject, ref string) []string {
		return []string{p.path["crane"], "push", source(s), ref}
	}}
}

func findTools(ctx context.Context, dir string) (tools, error) {
	p, err := findPrograms(ctx, dir)
	if err != nil {
		return tools{}, err
	}
	archive := func(s subject) string { return s.archive }
	layout := func(s subject) string { return s.layout }
	tag := func(s subject) string { return s.tag }
	fromArchive := func(s subject) []string { return []string{"docker-archive:" + s.archive} }
	auto := p.byDocker(p.push(tag))
	// The ways are those among which a push chooses: they find what it left.
	way := func(name string) tool {
		t := p.byDocker(p.push(tag, "--via", name))
		t.first = &auto
		return t
	}
	viaDaemon := []tool{
		auto, way("export"), way("daemon"), p.push(tag),
		pushByDocker(p.path["docker"]),
	}
	return tools{
		archive: []tool{
			p.push(archive), p.skopeo(fromArchive), p.crane(archive),
			{name: "regctl", args: func(s subject, ref string) []string {
				return []string{p.path["regctl"], "image", "import", ref, s.archive}
			}},
		},
		zstd: []tool{
			p.push(archive, "--compression", "zstd"),
			p.skopeo(fromArchive, "--dest-compress-format", "zstd"),
			{name: skopeoGzip, args: p.skopeo(fromArchive).args},
		},
		streaming: []tool{p.push(archive), p.push(archive, "--compression", "zstd"), p.skopeo(fromArchive), p.crane(archive)},
		jobs:      p.variants(layout, nil, "--jobs", "1", "2", "8", "16"),
		chunks:    p.variants(layout, nil, "--chunk-size", "5MB", "20MB"),
		levels:    p.variants(archive, []string{"--compression", "zstd"}, "--compression-level", "1", "7"),
		ours:      p.ours,
		layout: []tool{
			p.push(layout), p.crane(layout),
			p.skopeo(func(s subject) []string { return []string{"oci:" + s.layout + ":latest"} }),
			{name: "regctl", args: func(s subject, ref string) []string {
				return []string{p.path["regctl"], "image", "copy", "ocidir://" + s.layout + ":latest", ref}
			}},
			{name: "oras", args: func(s subject, ref string) []string {
				return []string{p.path["oras"], "cp", "--no-tty", "--to-plain-http=false", "--from-oci-layout", s.layout + ":latest", ref}
			}},
		},
		copying: p.copying(),
		copyingAll: []tool{
			{name: "docker-gitea copy --all-tags", args: func(s subject, ref string) []string {
				return []string{p.ours, "copy", "--quiet", "--all-tags", s.from, untagged(ref)}
			}},
			{name: craneCopy, args: func(s subject, ref string) []string {
				return []string{p.path["crane"], "cp", "--all-tags", s.from, untagged(ref)}
			}},
		},
		tagging:    p.tagging(),
		joining:    p.joining(),
		composing:  p.composing(),
		crowding:   p.crowding(),
		daemon:     append(slices.Clone(viaDaemon), p.skopeo(func(s subject) []string { return []string{"--src-daemon-host", s.host, "docker-daemon:" + s.tag} })),
		containerd: viaDaemon,
	}, nil
}

// craneCopy is what a copy of all tags is compared with.
const craneCopy = "crane cp -a"

// craneAppend is what a join is compared with.
const craneAppend = "crane index append"

// tenPushes are compared with one push of a project.
const tenPushes = "docker push, one after the other"

// untagged is a name without its tag.
func untagged(ref string) string { return strings.TrimSuffix(ref, ":1") }

// copying copies an image between registries.
func (p programs) copying() []tool {
	return []tool{
		{name: "docker-gitea copy", args: func(s subject, ref string) []string { return []string{p.ours, "copy", "--quiet", s.from, ref} }},
		{name: "crane", args: func(s subject, ref string) []string { return []string{p.path["crane"], "cp", s.from, ref} }},
		p.skopeo(func(s subject) []string { return []string{"docker://" + s.from} }),
		{name: "regctl", args: func(s subject, ref string) []string { return []string{p.path["regctl"], "image", "copy", s.from, ref} }},
		{name: "oras", args: func(s subject, ref string) []string {
			return []string{p.path["oras"], "cp", "--no-tty", "--from-plain-http=false", "--to-plain-http=false", s.from, ref}
		}},
	}
}

// tagging gives an image of the registry another tag.
func (p programs) tagging() []tool {
	first := p.copying()[0]
	tools := []tool{
		{name: "docker-gitea tag", args: func(_ subject, ref string) []string { return []string{p.ours, "tag", ref, "2"} }},
		{name: "crane", args: func(_ subject, ref string) []string { return []string{p.path["crane"], "tag", ref, "2"} }},
		{name: "regctl", args: func(_ subject, ref string) []string {
			return []string{p.path["regctl"], "image", "copy", ref, untagged(ref) + ":2"}
		}},
		{name: "oras", args: func(_ subject, ref string) []string {
			return []string{p.path["oras"], "tag", "--plain-http=false", ref, "2"}
		}},
	}
	for i := range tools {
		tools[i].first = &first
	}
	return tools
}

// joining makes an index of two images of the registry.
func (p programs) joining() []tool {
	first := p.copying()[0]
	tools := []tool{
		{name: "docker-gitea join", args: func(_ subject, ref string) []string {
			return []string{p.ours, "join", "--tag", ref, untagged(ref) + ":amd64", untagged(ref) + ":arm64"}
		}},
		{name: craneAppend, args: func(_ subject, ref string) []string {
			return []string{p.path["crane"], "index", "append", "--manifest", untagged(ref) + ":amd64", "--manifest", untagged(ref) + ":arm64", "--tag", ref}
		}},
		{name: "regctl", args: func(_ subject, ref string) []string {
			return []string{p.path["regctl"], "index", "create", "--ref", untagged(ref) + ":amd64", "--ref", untagged(ref) + ":arm64", ref}
		}},
		{name: "oras", args: func(_ subject, ref string) []string {
			return []string{p.path["oras"], "manifest", "index", "create", "--plain-http=false", ref, "amd64", "arm64"}
		}},
	}
	for i := range tools {
		tools[i].first = &first
	}
	return tools
}

// composing pushes the images of a project.
func (p programs) composing() []tool {
	return []tool{
		p.byDocker(tool{name: "docker-gitea push --compose", args: func(s subject, ref string) []string {
			return []string{p.ours, "push", "--quiet", "--compose", s.compose, "--to", strings.TrimSuffix(ref, "app:1")}
		}}),
		{name: tenPushes, daemon: true, args: func(s subject, ref string) []string {
			script := `docker=$1 to=$2; shift 2; for name; do "$docker" tag "$name" "$to$name" && "$docker" push --quiet "$to$name" || exit; done`
			return append([]string{"sh", "-c", script, "sh", p.path["docker"], strings.TrimSuffix(ref, "app:1")}, s.services...)
		}},
	}
}
