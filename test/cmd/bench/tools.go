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
}

// tools are the programs by what they push from. Ours is the first of each.
type tools struct {
	archive, zstd, layout, daemon []tool
	// containerd is daemon without those that a current engine refuses.
	containerd []tool
	// streaming are those that do not take a large layer into memory.
	streaming []tool
	ours      string
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
		daemon:     append(slices.Clone(viaDaemon), p.skopeo(func(s subject) []string { return []string{"--src-daemon-host", s.host, "docker-daemon:" + s.tag} })),
		containerd: viaDaemon,
	}, nil
}
