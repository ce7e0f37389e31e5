package progress

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/docker-gitea/docker-gitea/registry"
)

// terminal redraws one line per blob that is on its way, and a total below
// them. mpb keeps the lines and the time; the text of each is ours. Finished
// blobs scroll up and stay, and those that wait are only counted, so that any
// number of them fits.
type terminal struct {
	Screen
	mpb *mpb.Progress
	now func() time.Time

	// mu guards the fields below, which mpb's goroutines read.
	mu     sync.Mutex
	blobs  map[string]*blobLine
	totals *mpb.Bar
	// start is when the first byte was sent.
	start time.Time
	done  bool
}

// blobLine is a blob on the screen; bar is nil while it waits.
type blobLine struct {
	blob
	bar *mpb.Bar
}

// totalPriority keeps the total below every blob.
const totalPriority = 1 << 30

func newTerminal(screen Screen) *terminal {
	return &terminal{
		Screen: screen,
		mpb:    mpb.New(console(screen.Writer), mpb.WithAutoRefresh(), mpb.PopCompletedMode()),
		now:    time.Now,
		blobs:  map[string]*blobLine{},
	}
}

func (t *terminal) Event(e registry.Event) {
	if e.Note != "" {
		t.note(e.Note + "\n")
		return
	}
	t.mu.Lock()
	b, found := t.blobs[e.Name]
	if !found {
		b = &blobLine{}
		t.blobs[e.Name] = b
	}
	b.update(e, t.now())
	if t.start.IsZero() && e.Status == registry.StatusPushing {
		t.start = t.now()
	}
	totals := t.totals
	t.mu.Unlock()

	// mpb calls back for the text, so mu is free here.
	if totals == nil {
		totals = t.addLine(totalPriority, t.totalText)
		t.mu.Lock()
		t.totals = totals
		t.mu.Unlock()
	}
	if b.bar == nil && e.Status != registry.StatusWaiting {
		b.bar = t.addLine(0, func(width int) string { return t.blobText(b, width) })
	}
	if e.Status.Final() {
		b.bar.SetTotal(-1, true)
	}
}

// note writes above the lines, which mpb does at the next redrawing, or where
// there are no lines, at once.
func (t *terminal) note(line string) {
	if t.totals == nil || t.done {
		_, _ = io.WriteString(t.Writer, line)
		return
	}
	_, _ = io.WriteString(t.mpb, line)
}

func (t *terminal) addLine(priority int, text func(width int) string) *mpb.Bar {
	line := func(s decor.Statistics) string { return strings.TrimRight(text(s.AvailableWidth), " ") }
	options := []mpb.BarOption{mpb.BarFillerTrim(), mpb.PrependDecorators(decor.Any(line))}
	if priority != 0 {
		options = append(options, mpb.BarPriority(priority), mpb.BarRemoveOnComplete(), mpb.BarNoPop())
	}
	return t.mpb.New(0, mpb.NopStyle(), options...)
}

func (t *terminal) blobText(b *blobLine, width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Color && b.event.Status == registry.StatusRetrying {
		return yellow + b.line(t.now(), width-markWidth) + noColour
	}
	return b.line(t.now(), width)
}

// The marks around a line in colour. mpb counts their printable characters, and
// takes the marks off a line that is too long with them.
const (
	yellow, noColour = "\x1b[33m", "\x1b[0m"
	markWidth        = len("[33m") + len("[0m")
)

func (t *terminal) totalText(width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum total
	for _, b := range t.blobs {
		sum.add(b.event)
	}
	sum.rate = rate(sum.current, t.now().Sub(t.start))
	return sum.line(width)
}

// Done ends the lines of blobs that were not finished where they are.
func (t *terminal) Done() {
	if t.done {
		return
	}
	t.done = true
	for _, b := range t.blobs {
		if b.bar != nil && !b.event.Status.Final() {
			b.bar.Abort(false)
		}
	}
	if t.totals != nil {
		t.totals.Abort(true)
	}
	t.mpb.Wait()
}
