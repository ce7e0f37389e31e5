package progress

import (
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// blob is what is known of a blob.
type blob struct {
	event registry.Event
	// since and from are where the present try began, for the rate.
	since time.Time
	from  int64
	// done is how much of this try is done, from 0 to 1. It never goes back.
	done float64
}

// update takes over an event. Within one state nothing goes back: where a
// request is repeated unseen, or an estimate grows, the numbers stand still.
func (b *blob) update(e registry.Event, now time.Time) {
	if e.Status != b.event.Status {
		b.since, b.from, b.done = now, e.Current, 0
	} else {
		e.Current = max(e.Current, b.event.Current)
	}
	if e.Total > 0 {
		e.Total = max(e.Total, e.Current)
		b.done = max(b.done, float64(e.Current)/float64(e.Total))
	}
	b.event = e
}

func (b *blob) moving() bool {
	return b.event.Status == registry.StatusPushing || b.event.Status == registry.StatusCompressing
}

// rate is in bytes per second.
func (b *blob) rate(now time.Time) float64 { return rate(b.event.Current-b.from, now.Sub(b.since)) }

// rate is in bytes per second; none is known in the first second.
func rate(n int64, d time.Duration) float64 {
	if d < time.Second || n <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
