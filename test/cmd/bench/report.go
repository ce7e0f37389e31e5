package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what came out of a scenario.
type report struct {
	scenario scenario
	results  [][]measure // by tool
	counts   []measure   // by tool, through the counting proxy
}

func (r report) write(w io.Writer) error {
	peer := r.bestPeer()
	_, err := fmt.Fprintf(w, "\n### %s\n\nExpected: %s.\n\n| | wall | ÷ best peer | processor | memory | sent | requests |\n|---|---|---|---|---|---|---|\n", r.scenario.name, r.scenario.expected)
	for i, t := range r.scenario.tools {
		if err != nil {
			return err
		}
		wall := median(r.results[i], func(m measure) time.Duration { return m.wall })
		cpu := fmt.Sprintf("%.2f s", median(r.results[i], func(m measure) time.Duration { return m.cpu }).Seconds())
		memory := fmt.Sprintf("%d MiB", median(r.results[i], func(m measure) int64 { return m.peak })>>20)
		if t.daemon {
			cpu, memory = "", "" // another process has them
		}
		_, err = fmt.Fprintf(w, "| %s | %.2f s | %s | %s | %s | %.1f MB | %d |\n",
			t.name, wall.Seconds(), r.ratio(i, peer), cpu, memory, float64(r.counts[i].sent)/1e6, r.counts[i].requests)
	}
	return err
}

// ours reports whether a tool is this project's.
func ours(t tool) bool { return strings.HasPrefix(t.name, "docker gitea") }

// bestPeer is the quickest of the others.
func (r report) bestPeer() int {
	best := -1
	wall := func(m measure) time.Duration { return m.wall }
	for i, t := range r.scenario.tools {
		if !ours(t) && (best < 0 || median(r.results[i], wall) < median(r.results[best], wall)) {
			best = i
		}
	}
	return best
}

// ratio compares round by round, since the machine's pace may drift.
func (r report) ratio(tool, peer int) string {
	var ratios []float64
	for round, m := range r.results[tool] {
		ratios = append(ratios, m.wall.Seconds()/r.results[peer][round].wall.Seconds())
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f", ratios[len(ratios)/2])
}

func median[T cmp.Ordered](all []measure, of func(measure) T) T {
	var values []T
	for _, m := range all {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// writeDocument writes docs/performance.md.
func writeDocument(w io.Writer, reports []report, rounds int) error {
	_, err := fmt.Fprintf(w, `# Performance

What `+"`make bench`"+` printed, on a machine with %d cores: medians of %d rounds. The
programs take turns, each with a new and empty Gitea over TLS on the same
machine. Only ratios are a claim; they are taken round by round, against the
quickest of the others. Memory is the peak of the program alone, without the
daemon's. What was sent, and in how many requests, is counted in a run of its
own. The images are parts of the Go toolchain's tree (%s/%s).

What decides the default of `+"`--compression`"+`: gzip, since every client and every
runtime reads it; zstd is quicker and smaller where all of them are recent.
`, runtime.NumCPU(), rounds, runtime.GOOS, runtime.GOARCH)
	for _, r := range reports {
		if err == nil {
			err = r.write(w)
		}
	}
	if err == nil {
		_, err = io.WriteString(w, limits)
	}
	return err
}

// limits says why some rows are not as expected.
const limits = `
## What limits it

- A first push of compressed layers takes about as long as Gitea needs to hash
  and store them. HTTP/2, leaving out "Expect: 100-continue", and POST and PUT
  instead of one POST were tried, and were slower or made no difference.
- In a push by the daemon, every byte passes one more process. With two
  processors that costs a third on the containerd store.
- The default levels of gzip and zstd are quicker and a little larger than those
  of skopeo.
- The export of Engine 20.10 names no diff IDs. After a change, it is compressed
  and sent again as a whole, unless the daemon has pushed the image before
  (` + "`--via daemon`" + `, see [push.md](push.md)).
`
