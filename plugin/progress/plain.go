package progress

import (
	"fmt"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// reminder is how often a blob that takes long gets a line.
const reminder = 10 * time.Second

// plain writes one line when a blob is done, one for every retry, and one
// every now and then while a blob takes long.
type plain struct {
	screen Screen
	now    func() time.Time
	blobs  map[string]*mentioned
}

// mentioned is a blob, and when it was mentioned last.
type mentioned struct {
	blob
	last time.Time
}

func newPlain(screen Screen, now func() time.Time) *plain {
	return &plain{screen: screen, now: now, blobs: map[string]*mentioned{}}
}

func (p *plain) Event(e registry.Event) {
	if e.Note != "" {
		p.print(e.Note)
		return
	}
	now := p.now()
	b, known := p.blobs[e.Name]
	if !known || b.event.Status == registry.StatusWaiting {
		b = &mentioned{last: now}
		p.blobs[e.Name] = b
	}
	b.update(e, now)
	switch {
	case e.Status.Final(), e.Status == registry.StatusRetrying:
		p.print(e.ID + ": " + statusText(e))
	case b.moving() && now.Sub(b.last) >= reminder:
		p.print(e.ID + ": " + statusText(e) + bytesText(b.event))
	default:
		return
	}
	b.last = now
}

func (p *plain) Done() {}

// print ignores errors: a push does not fail because nobody reads on.
func (p *plain) print(line string) { _, _ = fmt.Fprintln(p.screen, line) }
