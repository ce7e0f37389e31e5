package model

import (
	"fmt"
	"slices"
)

// choice gives numbers below n, all as likely.
type choice func(n int) int

func pick[T any](c choice, list []T) T { return list[c(len(list))] }

// somePush is any push from one kind of source.
func somePush(c choice, from way) *push {
	p := &push{
		source: someSource(c, from), user: c(2), host: c(2), repo: c(2),
		tags: [][]string{{"1"}, {"1"}, {"dev"}, {"1", "dev"}, {"RC1"}}[c(5)],
		asked: asked{
			platform:    []string{"", "", "", "", "", "linux/amd64", "linux/arm64", "linux/riscv64"}[c(8)],
			compression: []compression{"", "", "", "", "", "", "gzip:6", "gzip:9", "gzip:1", "zstd", "zstd:9", "none"}[c(12)],
			force:       c(8) == 0, noAttestations: c(8) == 0,
		},
		verify: c(8) == 0, dryRun: c(16) == 0, noClobber: c(8) == 0,
	}
	switch from.via {
	case viaCopy, viaAllTags:
		if !p.force { // else it is refused
			p.compression = ""
		}
		if from.via == viaAllTags {
			p.match = []string{"", "", "*1", "[a-z]*"}[c(4)]
		}
	case viaJoin:
		p.asked = asked{noAttestations: p.noAttestations}
		p.verify, p.dryRun = false, false
	case viaTag:
		p.asked, p.verify, p.dryRun = asked{}, false, false
		p.host = p.source.remotes[0].host
	}
	p.trouble = someTrouble(c, p.source)
	return p
}

func someSource(c choice, from way) source {
	s := source{way: from}
	switch {
	case s.kind == fromRegistry:
		n := 1
		if s.via == viaJoin {
			n = []int{1, 2, 2, 2, 3}[c(5)]
		}
		for range n {
			s.remotes = append(s.remotes, remote{host: c(2), repo: []int{0, 1, 1}[c(3)], n: c(6), byDigest: s.via != viaAllTags && c(4) == 0})
		}
		s.followed = s.via == viaPush || s.via != viaJoin && s.via != viaTag && c(4) != 0
		return s
	case s.isDaemon():
		s.image, s.byID, s.picture = pick(c, names), c(4) == 0, pick(c, plain[:3])
		return s
	}
	if s.kind == fromStdin {
		s.form = pick(c, []kind{fromDockerArchive, fromClassicExport, fromLayout, fromContainerdExport})
	}
	fitting := pictures
	if s.isRaw() {
		fitting = plain
	}
	s.picture = pick(c, fitting)
	if several := s.format() == fromDockerArchive || s.format() == fromLayout; several && c(4) == 0 {
		s.second, s.chosen = pick(c, fitting), c(2)
		if s.second == s.picture {
			s.second = nil
			s.chosen = 0
		}
	}
	return s
}

func someTrouble(c choice, s source) trouble {
	if c(4) != 0 {
		return trouble{}
	}
	kinds := []troubleKind{cancelAtRequest, cancelAtAnswer, portal, portal, cancelAtCall, retagged}
	if s.kind == fromRegistry {
		kinds = slices.Concat(kinds[:3], ofSource)
	}
	t := trouble{kind: pick(c, kinds), at: c(12)}
	if (t.kind == portal || t.kind == sourcePortal) && c(2) == 0 {
		t.at = 0
	}
	switch {
	case t.kind == sourceMoved:
		t.picture = pick(c, known)
	case t.kind != cancelAtCall && t.kind != retagged:
	case !s.isDaemon():
		return trouble{}
	case t.kind == retagged:
		return someRetag(c)
	default:
		t.call = pick(c, []string{"inspect", "info", "save", "tag", "push", "untag"})
	}
	return t
}

func someRetag(c choice) trouble {
	return trouble{kind: retagged, call: pick(c, []string{"info", "save", "tag", "push"}), picture: pick(c, plain[:3])}
}

// somePair has tags of their own, and no trouble but each other. Neither writes
// where the other reads.
func somePair(c choice) *pair {
	p := &pair{somePush(c, pick(c, ways)), somePush(c, pick(c, ways[:slices.Index(ways, way{fromRegistry, viaPush})]))}
	p.other.tags = []string{"other"}
	p.one.trouble, p.other.trouble = trouble{}, trouble{}
	if p.one.source.kind == fromRegistry {
		p.one.source.remotes = p.one.source.remotes[:1]
		p.other.host = 1 - p.one.source.remotes[0].host
		p.other.repo = 1 - p.one.repo
	}
	return p
}

// someSeveral are images of one daemon, of files and of registries, mostly under
// different names, with the same options.
func someSeveral(c choice) many {
	store := pick(c, []way{{fromClassic, "auto"}, {fromClassic, "export"}, {fromContainerd, "auto"}, {fromContainerd, "export"}, {fromContainerd, "daemon"}})
	first := somePush(c, pick(c, []way{store, {fromDockerArchive, ""}, {fromLayout, ""}, {fromRegistry, viaPush}}))
	var s many
	for i := range 2 + c(2) {
		p := *first
		if i > 0 {
			p.source = someSource(c, pick(c, []way{store, {fromDockerArchive, ""}, {fromLayout, ""}, {fromRegistry, viaPush}, {fromRegistry, viaPush}}))
			p.trouble = trouble{}
		}
		name := names[i%len(names)]
		p.repo, p.tags = 0, []string{name[len("app:"):]}
		p.source.second, p.source.chosen, p.source.byID = nil, 0, false
		switch {
		case p.source.isDaemon():
			p.source.image = name
		case p.source.kind == fromRegistry:
			p.source.remotes[0].byDigest = false
		default:
			p.source.called = name
		}
		s = append(s, &p)
	}
	if !slices.Contains([]troubleKind{cancelAtRequest, cancelAtAnswer, portal}, first.trouble.kind) {
		first.trouble = trouble{}
	}
	for _, p := range s {
		p.trouble = first.trouble
	}
	return s
}

// overtaken is a push during which the image is tagged anew, which is rolled back,
// and the same push once more: what was remembered meanwhile shows.
func overtaken(c choice) []event {
	p := somePush(c, way{fromClassic, "auto"})
	p.source = source{way: pick(c, []way{{fromClassic, "auto"}, {fromClassic, "export"}, {fromContainerd, "auto"}, {fromContainerd, "export"}, {fromContainerd, "daemon"}}), image: pick(c, names)}
	p.trouble = someRetag(c)
	return []event{p, rollBack(c), &again{}}
}

// borrowed is a push of the containerd store, and one of raw layers by the same
// user to the same registry, of an image that has a layer in common with the
// first: it is asked for by what the first has remembered of it.
func borrowed(c choice) []event {
	p := pick(c, pictures)
	lent, taken := somePush(c, ways[0]), somePush(c, ways[0])
	for _, each := range []*push{lent, taken} {
		each.user, each.host = lent.user, lent.host
		each.asked, each.dryRun, each.noClobber, each.trouble = asked{}, false, false, trouble{}
	}
	lent.source = source{way: pick(c, []way{{fromContainerd, "auto"}, {fromContainerd, "daemon"}, {fromContainerd, "export"}}), image: names[0]}
	taken.source = source{way: pick(c, []way{{fromDockerArchive, ""}, {fromClassicExport, ""}}), picture: pick(c, p.alike())}
	built := happening{"an image is built, pulled or tagged anew", fmt.Sprintf("in the containerd daemon %s becomes %q", names[0], p.name), func(w *world) {
		w.store.load(p, names[0], every)
	}}
	return []event{built, lent, taken}
}

// moved is a copy of a tag, which is then given to another image that is signed, and the
// same copy once more.
func moved(c choice) []event {
	p := somePush(c, way{fromRegistry, pick(c, []string{viaPush, viaCopy, viaAllTags})})
	from := remote{host: c(2), repo: 1, name: "1"}
	p.asked, p.dryRun, p.noClobber, p.trouble = asked{}, false, false, trouble{}
	p.source.remotes, p.source.followed = []remote{from}, true
	p.host, p.repo = 1-from.host, c(2)
	image := pick(c, known)
	where := fmt.Sprintf("the tag 1 of host %d, repository %d", from.host, from.repo)
	given := happening{"another client pushes", fmt.Sprintf("another client gives %q %s", image.name, where), func(w *world) {
		h := w.hosts[from.host]
		h.receive(h.repositories[from.repo], from.name, image)
	}}
	asTag := c(3) == 0
	signed := happening{"an image is signed", fmt.Sprintf("alice signs %s, as cosign does: %t", where, asTag), func(w *world) {
		h := w.hosts[from.host]
		h.sign(h.repositories[from.repo], from.name, "alice", asTag)
	}}
	return []event{p, given, signed, &again{}}
}

// joined is a join of images by their tags, most often of the same repository, that
// then lose these.
func joined(c choice) []event {
	p := somePush(c, way{fromRegistry, viaJoin})
	for i := range p.source.remotes {
		r := &p.source.remotes[i]
		r.host, r.repo, r.byDigest = p.host, 1, false
	}
	p.repo = min(c(4), 1)
	return []event{p, &forsaken{p}}
}
