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

// terminal redraws one line per blob and a total below them. mpb moves the
// cursor and knows the size of the window; the text of each line is ours.
// Finished blobs scroll up and stay, so that any number of them fits.
type terminal struct {
	screen *mpb.Progress
	now    func() time.Time
	start  time.Time

	// mu guards the fields below, which the screen's goroutines read.
	mu     sync.Mutex
	blobs  map[string]*blobLine
	totals *mpb.Bar
	done   bool
}

// blobLine is one line on the screen.
type blobLine struct {
	event registry.Event
	bar   *mpb.Bar
	// since and from are where the present upload of the blob began.
	since time.Time
	from  int64
}

// totalPriority keeps the total below every blob.
const totalPriority = 1 << 30

func newTerminal(w io.Writer) *terminal {
	t := &terminal{
		screen: mpb.New(mpb.WithOutput(w), mpb.ForceTTY(), mpb.WithAutoRefresh(), mpb.PopCompletedMode()),
		now:    time.Now,
		blobs:  map[string]*blobLine{},
	}
	t.start = t.now()
	return t
}

func (t *terminal) Event(e registry.Event) {
	if e.Note != "" {
		_, _ = io.WriteString(t.screen, e.Note+"\n")
		return
	}
	t.mu.Lock()
	known, found := t.blobs[e.Name]
	if !found {
		known = &blobLine{}
		t.blobs[e.Name] = known
	}
	t.update(known, e)
	totals := t.totals
	t.mu.Unlock()

	// The screen calls back for the text, so mu is free here.
	if totals == nil {
		totals = t.addLine(totalPriority, t.totalText)
		t.mu.Lock()
		t.totals = totals
		t.mu.Unlock()
	}
	if known.bar == nil && e.Status != registry.StatusWaiting {
		known.bar = t.addLine(0, func(width int) string { return t.blobText(known, width) })
	}
	if e.Status.Final() {
		known.bar.SetTotal(-1, true)
	}
}

// update takes over an event; a blob that begins to be sent starts its clock.
func (t *terminal) update(known *blobLine, e registry.Event) {
	if e.Status == registry.StatusPushing && (known.event.Status != registry.StatusPushing || e.Current < known.event.Current) {
		known.since, known.from = t.now(), e.Current
	}
	known.event = e
}

func (t *terminal) addLine(priority int, text func(width int) string) *mpb.Bar {
	line := func(s decor.Statistics) string { return strings.TrimRight(text(s.AvailableWidth), " ") }
	options := []mpb.BarOption{mpb.BarFillerTrim(), mpb.PrependDecorators(decor.Any(line))}
	if priority != 0 {
		options = append(options, mpb.BarPriority(priority), mpb.BarRemoveOnComplete(), mpb.BarNoPop())
	}
	return t.screen.New(0, mpb.NopStyle(), options...)
}

func (t *terminal) blobText(b *blobLine, width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return line(b.event, rate(b.event.Current-b.from, t.now().Sub(b.since)), width)
}

func (t *terminal) totalText(width int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := total{blobs: len(t.blobs)}
	for _, b := range t.blobs {
		if b.event.Status.Final() {
			sum.finished++
		}
		if b.event.Status != registry.StatusExists && b.event.Status != registry.StatusMounted {
			sum.current += min(b.event.Current, max(b.event.Total, b.event.Current))
			sum.total += max(b.event.Total, b.event.Current)
		}
	}
	sum.rate = rate(sum.current, t.now().Sub(t.start))
	return sum.line(width)
}

// rate is in bytes per second; none is known in the first second.
func rate(n int64, d time.Duration) float64 {
	if d < time.Second || n <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
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
	t.screen.Wait()
}
