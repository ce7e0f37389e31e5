package model

import (
	"flag"
	"runtime"
	"runtime/debug"
	"slices"
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
	// pairsEach is how many of the pairs a history has to have.
	pairsEach = 2
)

// TestHistories has every push of many histories leave the right image. One of
// them by itself: -run with the name of its shard and group, and -rapid.seed.
func TestHistories(t *testing.T) {
	f := newFiles(t.TempDir())
	// A fifth of the time was the collector's: next to nothing lives longer than a history.
	// The pools of the compressors live until it runs, and the machine may be a small one.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(2 << 30))
	var l ledger
	all := groups()
	l.shards(t, "shard", f, all, *count/len(all))
	l.shards(t, "more", f, all[:*count%len(all)], 1)
	rarest, times := l.rarest()
	t.Logf("%s; the rarest of %d pairs of event and source, %s, %d times", &l, len(pairs()), rarest, times)
	if want := map[bool]int{true: leastPair, false: 1}[*count >= enough]; *count >= len(all) && !t.Failed() && times < want {
		t.Errorf("%s occurred %d times, want %d", rarest, times, want)
	}
	l.publish(t, "scripted servers")
}

// groups are the pairs that a history has to have, divided so that all occur when
// there is a history of each group.
func groups() [][]followed { return slices.Collect(slices.Chunk(pairs(), pairsEach)) }

// shards makes up n histories of each group, on every processor a part of them.
func (l *ledger) shards(t *testing.T, name string, f *files, all [][]followed, n int) {
	t.Helper()
	if n == 0 {
		return
	}
	checks(t, n)
	t.Run(name, func(t *testing.T) {
		parts := runtime.GOMAXPROCS(0)
		for i := range parts {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				for g := i; g < len(all); g += parts {
					t.Run(strconv.Itoa(g), func(t *testing.T) {
						check(t, all[g], func(h history) error { return h.run(scriptedCast(h.setting), f, l) })
					})
				}
			})
		}
	})
}

// check has rapid make up histories that have the pairs. Each must run well.
func check(t *testing.T, pairs []followed, run func(history) error) {
	t.Helper()
	var first sync.Once
	rapid.Check(t, func(r *rapid.T) {
		h := histories(pairs).Draw(r, "history")
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
