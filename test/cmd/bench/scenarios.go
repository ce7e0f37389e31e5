//go:build unix

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// scenario is one comparison.
type scenario struct {
	name   string
	expect expectation
	// limit is what keeps a row from what is expected, as profiles show it.
	limit string
	image string
	// copied: another registry has the image.
	copied bool
	store  servers.Store
	tools  []tool
	// before is pushed first, by the same program or the one that it names, to
	// the same place, untimed:
	// nothing, the same image, or the image that changed since.
	before before
	// link is between the program and the registry, which runs at a site.
	link link
	site servers.GiteaOptions
	// rounds, when not zero, multiplies the flag's: there are fewer of what is
	// long, and more of what is short where ours and the best peer are close.
	rounds float64
}

type before int

const (
	nothing before = iota
	same
	unchanged   // the image without its last layer
	otherOwners // the same image, to another owner
	twoHalves   // what becomes one index
)

// What limits rows of more than one kind.
const (
	start    = "What is left is starting, the connection, and Gitea's hashing of the password, which others pay as well."
	oneMore  = "Every byte passes one more process, and docker starts the plugin twice."
	started  = "Docker starts, and starts the plugin twice; the containerd store takes 20 ms to tell which image it is."
	twoCores = "Both processors are busy: what Gitea needs to decrypt, hash and store is of the same two."
)

func scenarios(t tools) []scenario {
	noted := expectation{wall: 0.50, requests: 3}
	const chosenData = "The files decide: many are compressed or machine code, and the level that makes them that small is slower."
	return append([]scenario{
		{name: "archive, gzip, first push", expect: expectation{wall: 0.60, sent: 1.00, sentOf: plainSkopeo}, limit: twoCores, image: toolchain, store: servers.Classic, tools: t.archive},
		{name: "archive, zstd, first push", expect: expectation{wall: 0.50, sent: 0.80, sentOf: skopeoGzip}, limit: chosenData, image: toolchain, store: servers.Classic, tools: t.zstd},
		{name: "OCI layout, first push", expect: expectation{wall: 1.00, requests: toolchainLayers + 4}, limit: "Layers above 4 MiB take two requests: Gitea gathers the body of a single one in memory, which takes longer than asking twice.", image: toolchain, store: servers.Classic, tools: t.layout, rounds: 3},
		{name: "daemon, classic store, first push", expect: expectation{wall: 0.70}, limit: "The daemon writes the whole image to its disk before the first byte.", image: toolchain, store: servers.Classic, tools: t.daemon},
		{name: "daemon, containerd store, first push", expect: expectation{wall: 1.00}, limit: oneMore, image: toolchain, store: servers.Containerd, tools: t.containerd, rounds: 3},
		{name: "archive, nothing changed", expect: noted, limit: start, image: toolchain, store: servers.Classic, tools: t.archive, before: same},
		{name: "OCI layout, nothing changed", expect: noted, limit: start, image: toolchain, store: servers.Classic, tools: t.layout, before: same},
		{name: "daemon, classic store, nothing changed", expect: noted, limit: started, image: toolchain, store: servers.Classic, tools: t.daemon, before: same},
		{name: "daemon, containerd store, nothing changed", expect: noted, limit: started, image: toolchain, store: servers.Containerd, tools: t.containerd, before: same},
		{name: "daemon, classic store, one small layer changed", expect: expectation{wall: 1.10, wallOf: dockerPush}, limit: "An export has everything in it, whatever changed.", image: toolchain, store: servers.Classic, tools: t.daemon, before: unchanged},
		{name: "daemon, containerd store, one small layer changed", expect: expectation{wall: 1.10, wallOf: dockerPush}, limit: oneMore, image: toolchain, store: servers.Containerd, tools: t.containerd, before: unchanged},
		{name: "60 small layers, 50 ms round trip", expect: expectation{wall: 0.50}, image: small, store: servers.Classic, tools: t.layout, link: link{roundTrip: 50 * time.Millisecond}},
		{name: "60 small layers, 50 ms round trip, nothing changed", expect: noted, limit: start, image: small, store: servers.Classic, tools: t.layout, before: same, link: link{roundTrip: 50 * time.Millisecond}},
		{name: "one layer of 1.5 GB", expect: expectation{memory: 96 << 20}, image: large, store: servers.Classic, tools: t.streaming, rounds: 0.6},
		{name: "layers known under another owner", expect: expectation{nothingSent: true}, image: toolchain, store: servers.Classic, tools: t.layout, before: otherOwners, rounds: 3},
	}, slices.Concat(copies(t), atSite(t), onLinks(t))...)
}

// copies is what registries have already, and what many images share.
func copies(t tools) []scenario {
	const (
		busy    = "The other registry, the program and Gitea share the processors."
		classic = "The first image has the layers of all, and takes most of the time: the daemon writes it to its disk before the first byte. For the nine others Gitea writes to its database 81 times, once at a time, about 20 ms each."
		named   = "Of every image each layer has to be mounted, also those that the first one brought."
		twice   = "Three requests write to Gitea's database, one after the other; crane writes once. The two others put each image by its digest, so that the index outlives their tags."
	)
	return []scenario{
		{name: "200 tags of another registry", expect: expectation{wall: 0.65, wallOf: craneCopy, requests: 610}, limit: busy, image: many, copied: true, tools: t.copyingAll},
		{name: "200 tags of another registry, again", expect: expectation{wall: 1.00, wallOf: craneCopy, requests: tagsOfMany + 6}, limit: busy, image: many, copied: true, tools: t.copyingAll, before: same},
		{name: "450 MB of another registry", expect: expectation{wall: 0.95, memory: 64 << 20}, limit: busy, image: heavy, copied: true, tools: t.copying},
		{name: "one more tag", expect: expectation{wall: 1.00, requests: 3}, limit: start, image: toolchain, copied: true, tools: t.tagging, before: same},
		{name: "one index of two images", expect: expectation{wall: 0.80, wallOf: craneAppend, requests: 8}, limit: twice, image: halves, copied: true, tools: t.joining, before: twoHalves},
		{name: "ten images of a project, classic store", expect: expectation{wall: 0.50, wallOf: tenPushes}, limit: classic, image: project, store: servers.Classic, tools: t.composing},
		{name: "ten images of a project, containerd store", expect: expectation{wall: 0.50, wallOf: tenPushes}, limit: named, image: project, store: servers.Containerd, tools: t.composing},
	}
}

// links are those that people have, with what is expected of the wall time on each,
// in relation to the best peer's.
var links = []struct {
	link
	gzip, zstd, layout, changed, small float64
	// ofLeast is expected of a layout, in relation to what the link needs.
	ofLeast float64
	rounds  float64
}{
	{link: megabits(20, 80*time.Millisecond), gzip: 0.85, zstd: 0.75, layout: 1.00, ofLeast: 1.04, changed: 0.60, small: 0.35, rounds: 0.2},
	{link: megabits(100, 20*time.Millisecond), gzip: 0.80, zstd: 0.73, layout: 0.97, ofLeast: 1.05, changed: 0.70, small: 0.40, rounds: 0.6},
	{link: megabits(1000, time.Millisecond), gzip: 0.80, zstd: 0.65, layout: 1.00, changed: 0.80, small: 0.50},
}

// busyLink is what limits most of what goes over a link, limitsOnLinks what limits the
// rest, and limitsOnQuick what does on the quickest link.
const busyLink = "The link is busy for most of the time."

var limitsOnLinks = map[string]string{
	"daemon, classic store":                             "The daemon writes the whole image to its disk before the first byte. With --via daemon it sends at once.",
	"daemon, containerd store, one small layer changed": "Round trips follow each other: four until the token is there, two in which the daemon asks for the blobs (five at once), one for what changed, and one for the manifest.",
	"OCI layout, nothing changed":                       "One request takes four round trips, three of them for the connection. The quickest peer makes two more.",
	"60 small layers":                                   "The link is busy for most of the time. Then each blob takes Gitea a write to its database, one at a time.",
}

var limitsOnQuick = map[string]string{
	"archive, gzip": twoCores, "archive, zstd": twoCores, "the level of zstd": twoCores, "OCI layout, nothing changed": start,
	"60 small layers":          "Each blob takes Gitea a write to its database, one at a time.",
	"daemon, containerd store": oneMore, "daemon, containerd store, one small layer changed": started,
}

// onLinks is what is compared on each link.
func onLinks(t tools) (all []scenario) {
	for _, l := range links {
		on := func(name string, e expectation, image string, store servers.Store, tools []tool, first before) {
			e.memory = 96 << 20
			limit := cmp.Or(limitsOnLinks[name], busyLink)
			if l.link == links[len(links)-1].link {
				limit = cmp.Or(limitsOnQuick[name], limit)
			}
			all = append(all, scenario{
				name: name + ", " + l.String(), expect: e, limit: limit,
				image: image, store: store, tools: tools, before: first, link: l.link, rounds: l.rounds,
			})
		}
		on("archive, gzip", expectation{wall: l.gzip}, toolchain, servers.Classic, t.archive, nothing)
		on("archive, zstd", expectation{wall: l.zstd}, toolchain, servers.Classic, t.zstd, nothing)
		on("OCI layout", expectation{wall: l.layout, ofLeast: l.ofLeast}, toolchain, servers.Classic, t.layout, nothing)
		on("daemon, classic store", expectation{wall: 1.00}, toolchain, servers.Classic, t.daemon, nothing)
		on("daemon, containerd store", expectation{wall: 1.00}, toolchain, servers.Containerd, t.containerd, nothing)
		on("daemon, containerd store, one small layer changed", expectation{wall: l.changed}, toolchain, servers.Containerd, t.containerd, unchanged)
		on("OCI layout, nothing changed", expectation{wall: 0.50, requests: 3}, toolchain, servers.Classic, t.layout, same)
		on("60 small layers", expectation{wall: l.small}, small, servers.Classic, t.layout, nothing)
		on("blobs side by side", expectation{wall: mostOfDefault}, small, servers.Classic, t.jobs, nothing)
		on("the level of zstd", expectation{wall: mostOfDefault}, toolchain, servers.Classic, t.levels, nothing)
		on("chunks", expectation{wall: mostOfDefault}, toolchain, servers.Classic, t.chunks, nothing)
		all = append(all, scenario{
			name: "image of another registry, " + l.String(), expect: expectation{wall: l.layout, ofLeast: l.ofLeast, memory: 64 << 20}, limit: busyLink,
			image: toolchain, copied: true, tools: t.copying, link: l.link, rounds: l.rounds,
		})
	}
	for _, trouble := range []link{
		{rate: 20e6 / 8, roundTrip: 80 * time.Millisecond, cuts: 10 * time.Second},
		{rate: 20e6 / 8, roundTrip: 80 * time.Millisecond, drop: 30 * time.Second},
	} {
		all = append(all, scenario{
			name: "60 small layers, " + trouble.String(), expect: expectation{ofLeast: 1.15, memory: 96 << 20}, limit: "Gitea keeps nothing of a blob whose connection is lost.",
			image: small, store: servers.Classic, tools: t.layout[:2], link: trouble, rounds: 0.2, // the others give up
		})
	}
	return all
}

// mostOfDefault is how much longer than with the best value of an option a push may take
// with its default.
const mostOfDefault = 1.05

// toolchainLayers is how many the toolchain image has.
const toolchainLayers = 5

// run gives every tool its turn in every round, and then counts.
func (s scenario) run(ctx context.Context, images *images, rounds int) (report, error) {
	if s.rounds > 0 {
		rounds = max(1, int(float64(rounds)*s.rounds))
	}
	r := report{scenario: s, results: make([][]measure, len(s.tools)), counts: make([]measure, len(s.tools))}
	for round := range rounds + 1 {
		counting := round == rounds
		for i := range s.tools {
			n := (i + round) % len(s.tools) // nobody is always the first
			if !counting && r.hopeless(n) {
				continue
			}
			m, err := s.once(ctx, images, s.tools[n], counting)
			if err != nil {
				return r, fmt.Errorf("%s: %w", s.tools[n].name, err)
			}
			if counting {
				r.counts[n] = m
			} else {
				r.results[n] = append(r.results[n], m)
			}
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.tools[n].name, m)
		}
	}
	return r, nil
}

// once runs one tool against a registry of its own.
func (s scenario) once(ctx context.Context, images *images, t tool, counting bool) (m measure, err error) {
	image, err := images.subject(ctx, s)
	if err != nil {
		return m, err
	}
	target, err := newTarget(ctx, s.site, s.link, counting)
	if err != nil {
		return m, err
	}
	defer target.stop()
	first := t
	if t.first != nil {
		first = *t.first
	}
	switch s.before {
	case nothing:
	case same, unchanged:
		_, err = target.push(ctx, first, image, "bench/app:1")
	case otherOwners:
		_, err = target.push(ctx, first, image, "other/app:1")
	case twoHalves:
		for _, arch := range []string{"amd64", "arm64"} {
			half := image
			half.from += ":" + arch
			if _, err = target.push(ctx, first, half, "bench/app:"+arch); err != nil {
				break
			}
		}
	}
	if err != nil {
		return m, err
	}
	if s.before == unchanged {
		if image, err = images.change(ctx, s.image, s.store, s.site.Storage != ""); err != nil {
			return m, err
		}
	}
	syscall.Sync() // what came before is not written to disk while the clock runs
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	target.be(ctx, s.link)
	target.counter.reset()
	m, err = target.push(ctx, t, image, "bench/app:1")
	m.requests, m.sent = target.counter.counts()
	return m, err
}
