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
	if e.Status != registry.StatusRetrying {
		return string(e.Status)
	}
	text := "Retrying"
	if wait := e.Wait.Round(time.Second); wait > 0 {
		text += " in " + wait.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// bytesText is what has been sent, and of how much, with a space in front.
func bytesText(e registry.Event) string {
	switch {
	case e.Current <= 0:
		return ""
	case e.Total <= 0:
		return " " + size(e.Current)
	}
	return fmt.Sprintf(" %s/%s", size(min(e.Current, e.Total)), size(e.Total))
}

func size(n int64) string { return strings.ReplaceAll(humanize.Bytes(uint64(max(n, 0))), " ", "") }

const (
	maxBar = 50
	minBar = 10
)

// line is the state of a blob in at most width columns: the bar gives way
// first, then the end of the text.
func line(e registry.Event, rate float64, width int) string {
	text := e.ID + ": " + statusText(e)
	if e.Status != registry.StatusPushing && e.Status != registry.StatusCompressing {
		return runewidth.Truncate(text, width, "…")
	}
	counts := bytesText(e)
	if rate > 0 && e.Current > 0 {
		counts += fmt.Sprintf(" %s/s", size(int64(rate)))
	}
	room := min(width-runewidth.StringWidth(text)-runewidth.StringWidth(counts)-1, maxBar+2)
	if e.Total > 0 && room >= minBar+2 {
		text += " " + bar(float64(e.Current)/float64(e.Total), room)
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
	blobs, finished int
	current, total  int64
	// rate is in bytes per second.
	rate float64
}

func (t total) line(width int) string {
	text := fmt.Sprintf("%d of %d done", t.finished, t.blobs)
	if t.total > 0 {
		text += fmt.Sprintf(", %s of %s", size(t.current), size(t.total))
	}
	if t.rate > 0 && t.current < t.total {
		left := time.Duration(float64(t.total-t.current) / t.rate * float64(time.Second))
		text += fmt.Sprintf(", %s/s, %s left", size(int64(t.rate)), left.Round(time.Second))
	}
	return runewidth.Truncate(text, width, "…")
}
