package progress

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"

	"github.com/docker-gitea/docker-gitea/registry"
)

// statusText is the state of a blob in docker's words.
func statusText(e registry.Event) string {
	switch {
	case e.Status == registry.StatusMounted && e.From != "":
		return "Mounted from " + e.From
	case e.Status != registry.StatusRetrying:
		return string(e.Status)
	}
	text := "Retrying"
	if wait := e.Wait.Round(time.Second); wait > 0 {
		text += " in " + wait.String()
	}
	if e.Err != nil {
		text += ": " + strings.Join(strings.Fields(registry.Printable(e.Err.Error())), " ")
	}
	return text
}

// bytesText is what has been done, and of how much, with a space in front.
func bytesText(e registry.Event) string {
	switch {
	case e.Current <= 0:
		return ""
	case e.Total <= 0:
		return " " + size(e.Current)
	}
	return fmt.Sprintf(" %s/%s", size(min(e.Current, e.Total)), about(e.Estimated)+size(e.Total))
}

// about marks what is estimated.
func about(estimated bool) string {
	if estimated {
		return "~"
	}
	return ""
}

func size(n int64) string { return strings.ReplaceAll(humanize.Bytes(uint64(max(n, 0))), " ", "") }

const (
	maxBar = 50
	minBar = 10
)

// line is the state of a blob in at most width columns: the bar gives way
// first, then the rate, then the end of the text.
func (b *blob) line(now time.Time, width int) string {
	e := b.event
	text := e.ID + ": " + statusText(e)
	if !b.moving() {
		return runewidth.Truncate(text, width, "…")
	}
	counts := bytesText(e)
	if rate := b.rate(now); rate > 0 {
		rated := counts + fmt.Sprintf(" %s/s", size(int64(rate)))
		if runewidth.StringWidth(text+rated) <= width {
			counts = rated
		}
	}
	room := min(width-runewidth.StringWidth(text)-runewidth.StringWidth(counts)-1, maxBar+2)
	if e.Total > 0 && room >= minBar+2 {
		text += " " + bar(b.done, room)
	}
	return runewidth.Truncate(text+counts, width, "…")
}

// bar draws a fraction between 0 and 1 in width columns, as docker does.
func bar(fraction float64, width int) string {
	inner := width - 2
	done := int(min(max(fraction, 0), 1) * float64(inner))
	if done == inner {
		return "[" + strings.Repeat("=", inner) + "]"
	}
	return "[" + strings.Repeat("=", done) + ">" + strings.Repeat(" ", inner-done-1) + "]"
}

// total is the last line: how far the push is, at what rate, and how long it
// will take at that rate.
type total struct {
	blobs, waiting, finished int
	// current and total are bytes on the wire, estimated if some of them are.
	current, total int64
	estimated      bool
	// moving: something is being sent.
	moving bool
	// rate is in bytes per second.
	rate float64
}

// add counts a blob. What the registry has need not travel; what is still
// being compressed does not travel yet.
func (t *total) add(e registry.Event) {
	t.blobs++
	switch {
	case e.Status == registry.StatusWaiting:
		t.waiting++
	case e.Status.Final():
		t.finished++
	}
	switch e.Status {
	case registry.StatusExists, registry.StatusMounted, registry.StatusSkipped:
		return
	case registry.StatusCompressing:
		e.Current, e.Estimated = 0, true
	case registry.StatusPushing:
		t.moving = true
	default:
	}
	t.current += e.Current
	t.total += max(e.Total, e.Current)
	t.estimated = t.estimated || e.Estimated
}

// line has what fits into width columns, the most important first.
func (t *total) line(width int) string {
	var parts []string
	if t.total > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", size(t.current), about(t.estimated)+size(t.total)))
	}
	if t.moving && t.rate > 0 && t.current < t.total {
		left := time.Duration(float64(t.total-t.current) / t.rate * float64(time.Second))
		parts = append(parts, about(t.estimated)+max(left.Round(time.Second), time.Second).String()+" left", size(int64(t.rate))+"/s")
	}
	if t.waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", t.waiting))
	}
	text := runewidth.Truncate(fmt.Sprintf("%d of %d done", t.finished, t.blobs), width, "…")
	for _, part := range parts {
		if runewidth.StringWidth(text+", "+part) > width {
			break
		}
		text += ", " + part
	}
	return text
}
