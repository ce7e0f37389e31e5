package progress

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/docker-gitea/docker-gitea/registry"
)

// brief writes one line when the push of an image among many has ended, and its
// notices.
type brief struct {
	screen    Screen
	sent, all int
	bytes     int64
	ended     bool
}

// NewBrief returns the display of one image among many that are pushed side by
// side. In [ModeJSON] and [ModeQuiet] it is that of [New].
func NewBrief(mode Mode, screen Screen) Display {
	if mode == ModeJSON || mode == ModeQuiet {
		return New(mode, screen)
	}
	return &printable{Display: &brief{screen: screen}}
}

func (b *brief) Event(e registry.Event) {
	switch {
	case e.Note != "":
		b.print(e.Note)
	case e.Status == registry.StatusPushed:
		b.sent++
		b.bytes += e.Total
		b.all++
	case e.Status.Final():
		b.all++
	}
}

func (b *brief) Done() {
	if b.ended || b.all == 0 {
		return
	}
	b.ended = true
	b.print(fmt.Sprintf("%d of %d blobs (%s) sent", b.sent, b.all, humanize.Bytes(uint64(max(b.bytes, 0)))))
}

// print ignores errors: a push does not fail because nobody reads on.
func (b *brief) print(line string) {
	_, _ = fmt.Fprintf(b.screen, "%s: %s\n", b.screen.Repository, line)
}
