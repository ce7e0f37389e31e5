package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// event is one step of a history.
type event interface {
	// name is what the pairs of events and sources are counted by.
	name() string
	// do makes it happen. What is not there to happen to is left alone.
	do(w *world) error
	String() string
}

// happening is an event that always goes well: what others do, or time.
type happening struct {
	kind, text string
	happen     func(w *world)
}

func (h happening) name() string   { return h.kind }
func (h happening) String() string { return h.text }

func (h happening) do(w *world) error {
	h.happen(w)
	return nil
}

// happenings are the kinds of event besides pushes, each with what it takes to
// make one. What comes before few kinds of push, or matters for one daemon, is
// there twice.
var happenings = []func(c choice) happening{
	// The registries, and other clients of theirs.
	deleteBlob, deleteChild, deleteManifest, deleteTag, collectGarbage, otherClient, signed, forgetAll, forgetAll, later,
	// The daemons.
	build, pullOthers, pullOthers, pullHollow, pullHollow, rollBack, untag, prune, forgetPushes,
	// The caches.
	expire, loseEntry, truncateEntry, flipBit, loseCache, keepCopy, restoreCopy, shareCache, clockAhead,
}

// place is a repository of a registry.
func place(c choice) (at, repo int, text string) {
	at, repo = c(2), c(2)
	return at, repo, fmt.Sprintf("of host %d, repository %d", at, repo)
}

// tagged does something to what one of the tags of a repository leads to.
func tagged(w *world, at, repo, n int, do func(h *host, repository, tag string)) {
	h := w.hosts[at]
	all := slices.Sorted(maps.Keys(h.tags(h.repositories[repo])))
	if len(all) > 0 {
		do(h, h.repositories[repo], all[n%len(all)])
	}
}

func deleteBlob(c choice) happening {
	at, repo, where := place(c)
	tag, n := c(4), c(8)
	return happening{"a blob is deleted", fmt.Sprintf("blob %d of tag %d %s, is deleted", n, tag, where), func(w *world) {
		tagged(w, at, repo, tag, func(h *host, repository, tag string) {
			if blobs := h.parts(repository, tag).blobs; len(blobs) > 0 {
				h.delete(repository, "blobs", blobs[n%len(blobs)])
			}
		})
	}}
}

func deleteChild(c choice) happening {
	at, repo, where := place(c)
	tag, n := c(4), c(4)
	return happening{"the child of an index is deleted", fmt.Sprintf("child %d of tag %d %s, is deleted", n, tag, where), func(w *world) {
		tagged(w, at, repo, tag, func(h *host, repository, tag string) {
			if children := h.parts(repository, tag).manifests; len(children) > 0 {
				h.delete(repository, "manifests", children[n%len(children)])
			}
		})
	}}
}

func deleteManifest(c choice) happening {
	at, repo, where := place(c)
	tag := c(4)
	return happening{"a manifest is deleted", fmt.Sprintf("the manifest of tag %d %s, is deleted", tag, where), func(w *world) {
		tagged(w, at, repo, tag, func(h *host, repository, tag string) {
			if digest := h.tags(repository)[tag]; digest != "" {
				h.delete(repository, "manifests", digest)
			}
		})
	}}
}

func deleteTag(c choice) happening {
	at, repo, where := place(c)
	tag := c(4)
	return happening{"a tag is deleted", fmt.Sprintf("tag %d %s, is deleted", tag, where), func(w *world) {
		tagged(w, at, repo, tag, func(h *host, repository, tag string) { h.delete(repository, "manifests", tag) })
	}}
}

func collectGarbage(c choice) happening {
	at := c(2)
	return happening{"garbage is collected", fmt.Sprintf("host %d collects its garbage", at), func(w *world) {
		if collect := w.hosts[at].collect; collect != nil {
			collect()
		}
	}}
}

func otherClient(c choice) happening {
	at, repo, where := place(c)
	p, tag := pick(c, known), pick(c, tags)
	return happening{"another client pushes", fmt.Sprintf("another client gives %q the tag %s %s", p.name, tag, where), func(w *world) {
		w.hosts[at].receive(w.hosts[at].repositories[repo], tag, p)
	}}
}

// signed is mostly the same signature, which an image then has that was signed before.
func signed(c choice) happening {
	at, repo, where := place(c)
	tag, by, asTag := c(4), []string{"alice", "alice", "bob"}[c(3)], c(3) == 0
	text := fmt.Sprintf("%s signs tag %d %s", by, tag, where)
	if asTag {
		text += ", as cosign does"
	}
	return happening{"an image is signed", text, func(w *world) {
		tagged(w, at, repo, tag, func(h *host, repository, tag string) { h.sign(repository, tag, by, asTag) })
	}}
}

func forgetAll(c choice) happening {
	at, repo, where := place(c)
	return happening{"a repository is lost", fmt.Sprintf("everything %s, is lost", where), func(w *world) {
		h := w.hosts[at]
		repository := h.repositories[repo]
		for tag := range h.tags(repository) {
			found := h.parts(repository, tag)
			for _, d := range found.blobs {
				h.delete(repository, "blobs", d)
			}
			for _, reference := range append(found.manifests, tag) {
				h.delete(repository, "manifests", reference)
			}
		}
	}}
}

func later(c choice) happening {
	at := c(2)
	d := []time.Duration{-time.Hour, 6 * time.Minute, 25 * time.Hour}[c(3)]
	return happening{"a registry's clock moves", fmt.Sprintf("the clock of host %d moves by %v", at, d), func(w *world) {
		if later := w.hosts[at].later; later != nil {
			later(d)
		}
	}}
}

// expire is a month in which nobody pushes: the entries of a cache get old.
func expire(c choice) happening {
	user := c(2)
	return happening{"a month passes", fmt.Sprintf("a month passes for the cache of user %d", user), func(w *world) {
		w.age(user, -30*24*time.Hour)
	}}
}

func clockAhead(c choice) happening {
	user := c(2)
	return happening{"a clock was ahead", fmt.Sprintf("the clock of user %d was a year ahead, and a proxy took 16 KiB", user), func(w *world) {
		w.age(user, 365*24*time.Hour)
		for _, h := range w.hosts {
			entry := file{
				name: filepath.Join("docker-gitea", "hosts", newBlob([]byte(h.address())).hex()),
				data: encode(map[string]any{"chunk": 16 << 10, "found": time.Now().Add(365 * 24 * time.Hour)}),
			}
			unpack(w.cache(user), []file{entry})
		}
	}}
}

// age moves the time at which the entries of a cache were written, on the disk
// and in what they say of themselves.
func (w *world) age(user int, by time.Duration) {
	for _, path := range w.entries(user) {
		full := filepath.Join(w.cache(user), path)
		data, err := os.ReadFile(full)
		must(err)
		var entry map[string]json.RawMessage
		if json.Unmarshal(data, &entry) == nil && entry["found"] != nil {
			entry["found"] = encode(time.Now().Add(by))
			must(os.WriteFile(full, encode(entry), 0o600))
		}
		must(os.Chtimes(full, time.Now().Add(by), time.Now().Add(by)))
	}
}

// someDaemon chooses a daemon, and pictures that it can have.
func someDaemon(c choice) (find func(w *world) *daemon, text string, fitting []*picture) {
	if c(2) == 0 {
		return func(w *world) *daemon { return w.classic }, "the classic daemon", plain
	}
	return func(w *world) *daemon { return w.store }, "the containerd daemon", pictures
}

// every is more platforms than any picture is for.
const every = 9

// build is also a re-tag, and a pull of one platform or two.
func build(c choice) happening {
	find, daemon, fitting := someDaemon(c)
	p, name, platforms := pick(c, fitting), pick(c, names), []int{every, every, 1, 2}[c(4)]
	text := fmt.Sprintf("in %s %s becomes %q", daemon, name, p.name)
	if platforms < len(p.members) {
		text += fmt.Sprintf(", for %d platforms", platforms)
	}
	return happening{"an image is built, pulled or tagged anew", text, func(w *world) {
		find(w).load(p, name, platforms)
	}}
}

func pullOthers(c choice) happening {
	name := pick(c, names)
	return happening{"the other platforms are pulled", "the containerd daemon pulls all platforms of " + name, func(w *world) {
		if found, _ := w.store.find(name); found.picture != nil {
			w.store.load(found.picture, name, every)
		}
	}}
}

func rollBack(choice) happening {
	return happening{"images are rolled back", "in both daemons each name gets the image that it had before", func(w *world) {
		w.classic.rollBack()
		w.store.rollBack()
	}}
}

// pullHollow is a pull of an image of whose layers the daemon has the files
// already, compressed otherwise: it leaves the layers in the registry.
func pullHollow(c choice) happening {
	at, repo, where := place(c)
	p, name := pick(c, pictures), pick(c, names)
	text := fmt.Sprintf("the containerd daemon pulls %q as %s without its layers, which it leaves in the tag base %s", p.name, name, where)
	return happening{"an image is pulled without its layers", text, func(w *world) {
		h := w.hosts[at]
		h.receive(h.repositories[repo], "base", p)
		w.store.pull(p, name, h.address()+"/"+h.repositories[repo])
	}}
}

func untag(c choice) happening {
	find, daemon, _ := someDaemon(c)
	name := pick(c, names)
	return happening{"an image loses a name", fmt.Sprintf("in %s the name %s is removed", daemon, name), func(w *world) { find(w).untag(name) }}
}

func prune(c choice) happening {
	find, daemon, _ := someDaemon(c)
	return happening{"a daemon is pruned", daemon + " is pruned", func(w *world) { find(w).prune() }}
}

func forgetPushes(choice) happening {
	return happening{"the daemon forgets its pushes", "the classic daemon forgets what it has pushed", func(w *world) { w.classic.forget() }}
}

// pair is two pushes side by side, often of one user.
type pair struct{ one, other *push }

func (p *pair) name() string      { return "two pushes at once" }
func (p *pair) String() string    { return fmt.Sprintf("%s\n     at once with: %s", p.one, p.other) }
func (p *pair) do(w *world) error { return perform(w, []*push{p.one}, []*push{p.other}) }

// many is one call for several images, each under its own name.
type many []*push

func (many) name() string        { return "several images with --to" }
func (s many) do(w *world) error { return perform(w, s) }

func (s many) String() string {
	var all []string
	for _, p := range s {
		all = append(all, p.String())
	}
	return "with --to: " + strings.Join(all, "\n     and ")
}

// forsaken deletes the tags of the images that a join has made an index of: that stays
// whole.
type forsaken struct{ join *push }

func (*forsaken) name() string   { return "the tags of joined images are deleted" }
func (*forsaken) String() string { return "the tags of the joined images are deleted" }

func (f *forsaken) do(w *world) error {
	h := w.hosts[f.join.host]
	repository, index := h.repositories[f.join.repo], h.stored(f.join.tags[0])
	whole := f.join.ended.code == fault.ExitOK && stands(h, repository, index) && !h.parts(repository, index).broken
	for _, r := range f.join.source.remotes {
		if r.host == f.join.host && r.repo == f.join.repo && !slices.Contains(f.join.targets(w), target(r.host, repository, r.version)) {
			h.delete(repository, "manifests", r.version)
		}
	}
	if whole && h.parts(repository, index).broken {
		return errors.New("the joined image is not whole without the tags of its parts")
	}
	return nil
}

// again is an earlier call of the history once more, without its trouble: what
// is remembered shows where the same is asked for after something has changed.
type again struct {
	// n counts back from the last call; tag, when not empty, is another one.
	n    int
	tag  string
	call []*push // which that is
}

func (a *again) name() string { return "push" }

func (a *again) String() string {
	if a.call == nil {
		return fmt.Sprintf("the call %d before the last once more", a.n)
	}
	return "once more: " + many(a.call).String()
}

func (a *again) do(w *world) error {
	if len(w.calls) == 0 {
		return nil
	}
	for _, p := range w.calls[len(w.calls)-1-a.n%len(w.calls)] {
		a.call = append(a.call, p.again())
	}
	if a.tag != "" && len(a.call) == 1 {
		a.call[0].tags = []string{a.tag}
	}
	return perform(w, a.call)
}

// join is for messages.
func join(events []event) string {
	var lines []string
	for i, e := range events {
		lines = append(lines, fmt.Sprintf("%3d. %s", i+1, e))
	}
	return strings.Join(lines, "\n")
}
