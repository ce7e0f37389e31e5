package model

import (
	"flag"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/docker-gitea/docker-gitea/test/doctest"
)

var (
	count  = flag.Int("histories", 500, "how many histories TestHistories makes up")
	update = flag.Bool("update", false, "write what was counted into docs/reliability.md")
)

// enough is from how many histories on every pair of event and source is to
// have occurred leastPair times. It has to occur in as few as there may be.
const (
	enough    = 10_000
	leastPair = 20
)

// TestHistories has every push of many histories leave the right image. One of
// them by itself: -run with the name of its shard and group, and -rapid.seed.
func TestHistories(t *testing.T) {
	f := newFiles(t.TempDir())
	var l ledger
	l.shards(t, "shard", f, *count)
	rarest, times := l.rarest()
	// Chance decides how often a pair occurs, so a few more histories may be needed.
	for more := 0; *count >= enough && times < leastPair && more < 4 && !t.Failed(); more++ {
		l.shards(t, fmt.Sprint("more", more), f, *count/10)
		rarest, times = l.rarest()
	}
	t.Logf("%s; the rarest of %d pairs of event and source, %s, %d times", &l, len(l.pairs), rarest, times)
	if *count >= enough && !t.Failed() && times < leastPair {
		t.Errorf("%s occurred %d times, want %d", rarest, times, leastPair)
	}
	l.publish(t, "scripted servers")
}

// shards makes up n histories, on every processor a part of them.
func (l *ledger) shards(t *testing.T, name string, f *files, n int) {
	t.Helper()
	parts := runtime.GOMAXPROCS(0)
	checks(t, (n+parts-1)/parts)
	t.Run(name, func(t *testing.T) {
		for i := range parts {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				check(t, func(h history) error { return h.run(scriptedCast(h.setting), f, l) })
			})
		}
	})
}

// check has rapid make up histories, of which each has to run well.
func check(t *testing.T, run func(history) error) {
	t.Helper()
	var first sync.Once
	rapid.Check(t, func(r *rapid.T) {
		h := histories.Draw(r, "history")
		if err := run(h); err != nil {
			// Rapid tells nothing of a failure that does not happen again.
			first.Do(func() { t.Logf("the first failure, %v, of\n%#v", err, h) })
			r.Log(err)
			r.FailNow() // a text of its own would keep rapid from shrinking
		}
	})
}

// checks has rapid make up n histories for each call of its Check.
func checks(t *testing.T, n int) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(n), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// publish writes what was counted into the documentation, when that was asked
// for and nothing went wrong.
func (l *ledger) publish(t *testing.T, with string) {
	t.Helper()
	if *update && !t.Failed() {
		doctest.Section(t, "../../docs/reliability.md", "histories with "+with, "\n"+l.table()+"\n", true)
	}
}
