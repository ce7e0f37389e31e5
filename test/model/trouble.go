package model

import (
	"fmt"
	"slices"
)

// trouble is what happens in the middle of a push.
type trouble struct {
	kind troubleKind
	// at is the request at which it does, of those to the registry, or to the one that
	// the image comes from; for the kinds of the daemon call is what it is asked to.
	at   int
	call string
	// picture is what the image becomes that is tagged anew meanwhile.
	picture *picture
}

type troubleKind string

const (
	untroubled      troubleKind = ""
	cancelAtRequest troubleKind = "cancelled as request"
	cancelAtAnswer  troubleKind = "cancelled with the answer to request"
	portal          troubleKind = "a captive portal from request"
	// Of the daemon.
	cancelAtCall troubleKind = "cancelled as the daemon is asked to"
	retagged     troubleKind = "the image is tagged anew as the daemon is asked to"
	// Of the registry that the image comes from.
	sourceCancel troubleKind = "cancelled as the source gets request"
	sourcePortal troubleKind = "a captive portal before the source, from request"
	sourceMoved  troubleKind = "the tag of the source moves at request"
	sourceLost   troubleKind = "a blob of the source is lost at request"
	sourceLies   troubleKind = "the source lies in its answer to request"
	sourceLiar   troubleKind = "the source lies from request"
	sourceCut    troubleKind = "the source breaks off in its answer to request"
	sourceGone   troubleKind = "the source breaks off in every answer from request"
)

var ofSource = []troubleKind{sourceCancel, sourcePortal, sourceMoved, sourceMoved, sourceLost, sourceLies, sourceLiar, sourceCut, sourceGone}

// retries is the option of how often to try again, if it is to be another than usual:
// no history waits long.
func (t trouble) retries() string {
	switch t.kind {
	case sourceLies, sourceCut:
		return "1"
	case sourceLiar, sourceGone:
		return "0"
	default:
		return ""
	}
}

func (t trouble) String() string {
	switch t.kind {
	case untroubled:
		return ""
	case cancelAtCall:
		return fmt.Sprintf("; %s %s", t.kind, t.call)
	case retagged:
		return fmt.Sprintf("; %s %s: %q", t.kind, t.call, t.picture.name)
	case sourceMoved:
		return fmt.Sprintf("; %s %d: %q", t.kind, t.at, t.picture.name)
	default:
		return fmt.Sprintf("; %s %d", t.kind, t.at)
	}
}

// moves reports that there are two images which may arrive.
func (p *push) moves() bool {
	return p.trouble.kind == sourceMoved || p.trouble.kind == retagged && !p.source.byID
}

// arm prepares the trouble. The caller calls what is returned when the push has
// ended.
func (p *push) arm(w *world, cancel func()) (disarm func()) {
	h := w.hosts[p.host]
	if slices.Contains(ofSource, p.trouble.kind) {
		h = w.hosts[p.source.remotes[0].host]
	}
	switch p.trouble.kind {
	case untroubled:
		return func() {}
	case cancelAtCall, retagged:
		return p.armDaemon(w, cancel)
	default:
		h.arm(func(n int) act { return p.strike(w, n, cancel) })
		return func() { h.arm(nil) }
	}
}

// strike is what happens to request n.
func (p *push) strike(w *world, n int, cancel func()) act {
	switch p.trouble.kind {
	case portal, sourcePortal:
		return act{portal: n >= p.trouble.at}
	case sourceLiar:
		return act{lie: n >= p.trouble.at}
	case sourceGone:
		return act{cut: n >= p.trouble.at}
	default:
	}
	if n != p.trouble.at {
		return act{}
	}
	switch p.trouble.kind {
	case cancelAtRequest, sourceCancel:
		return act{before: cancel}
	case cancelAtAnswer:
		return act{after: cancel}
	case sourceLies:
		return act{lie: true}
	case sourceCut:
		return act{cut: true}
	case sourceMoved:
		return act{before: func() {
			p.atSource(w, func(h *host, repository, tag string) { h.receive(repository, tag, p.trouble.picture) })
		}}
	case sourceLost:
		return act{before: func() {
			p.atSource(w, func(h *host, repository, tag string) {
				if blobs := h.parts(repository, tag).blobs; len(blobs) > 0 {
					h.delete(repository, "blobs", blobs[p.trouble.at%len(blobs)])
				}
			})
		}}
	default:
		return act{}
	}
}

// atSource does something to the tag that the image is read from. Not where that is
// in the same repository, whose own tags it would be done to.
func (p *push) atSource(w *world, do func(h *host, repository, tag string)) {
	r := p.source.remotes[0]
	h := w.hosts[r.host]
	if !r.byDigest && (r.host != p.host || r.repo != p.repo) && stands(h, h.repositories[r.repo], r.version) {
		do(h, h.repositories[r.repo], r.version)
	}
}

func (p *push) armDaemon(w *world, cancel func()) (disarm func()) {
	d := p.source.daemon(w)
	done := false
	d.arm(func(call string) {
		if call != p.trouble.call || done {
			return
		}
		done = true
		if p.trouble.kind == cancelAtCall {
			cancel()
			return
		}
		d.load(p.trouble.picture, p.source.image, every)
	})
	return func() { d.arm(nil) }
}
