package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// reminder is how often a blob that takes long gets a line.
const reminder = 10 * time.Second

// plain writes one line when a blob is done, one for every retry, and one
// every now and then while a blob takes long.
type plain struct {
	w   io.Writer
	now func() time.Time
	// last is when each unfinished blob was mentioned.
	last map[string]time.Time
}

func newPlain(w io.Writer, now func() time.Time) *plain {
	return &plain{w: w, now: now, last: map[string]time.Time{}}
}

func (p *plain) Event(e registry.Event) {
	if e.Note != "" {
		p.print(e.Note)
		return
	}
	now := p.now()
	last, mentioned := p.last[e.Name]
	switch {
	case e.Status.Final():
		delete(p.last, e.Name)
		p.print(e.ID + ": " + statusText(e))
	case e.Status == registry.StatusRetrying:
		p.last[e.Name] = now
		p.print(e.ID + ": " + statusText(e))
	case !mentioned:
		p.last[e.Name] = now
	case now.Sub(last) >= reminder:
		p.last[e.Name] = now
		p.print(e.ID + ": " + statusText(e) + bytesText(e))
	}
}

func (p *plain) Done() {}

// print ignores errors: a push does not fail because nobody reads on.
func (p *plain) print(line string) { _, _ = fmt.Fprintln(p.w, line) }
