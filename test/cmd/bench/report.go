//go:build unix

package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// expectation is what should come out for ours; zero values expect nothing.
type expectation struct {
	// wall and sent are ratios to the best peer, or to the one that is named.
	wall, sent     float64
	wallOf, sentOf string
	requests       int
	memory         int64
	nothingSent    bool
	// ofLeast is a ratio to what the link needs, see [link.least].
	ofLeast float64
}

func (e expectation) String() string {
	var parts []string
	add := func(wanted bool, format string, args ...any) {
		if wanted {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(e.wall > 0, "wall ≤ %.2f of %s", e.wall, cmp.Or(e.wallOf, "the best peer"))
	add(e.sent > 0, "sent ≤ %.2f of %s", e.sent, cmp.Or(e.sentOf, "the best peer"))
	add(e.requests > 0, "at most %d requests", e.requests)
	add(e.memory > 0, "memory ≤ %d MiB", e.memory>>20)
	add(e.ofLeast > 0, "wall ≤ %.2f of what the link needs", e.ofLeast)
	add(e.nothingSent, "no layer is sent")
	return strings.Join(parts, ", ")
}

// report is what came out of a scenario.
type report struct {
	scenario scenario
	results  [][]measure // by tool, and round
	counts   []measure   // by tool, through the counting proxy
}

// hopeless reports a tool that is not worth the time of another round: what it
// takes is shown by those it had.
func (r report) hopeless(n int) bool {
	if len(r.results[n]) == 0 || ours(r.scenario.tools[n]) {
		return false
	}
	took := r.wall(n)
	best := took
	for i := range r.results {
		if len(r.results[i]) > 0 {
			best = min(best, r.wall(i))
		}
	}
	return took > 5*best && took > 2*time.Second
}

func (r report) wall(n int) time.Duration {
	return median(r.results[n], func(m measure) time.Duration { return m.wall })
}

func (r report) cpu(n int) time.Duration {
	return median(r.results[n], func(m measure) time.Duration { return m.cpu })
}

func (r report) registry(n int) time.Duration {
	return median(r.results[n], func(m measure) time.Duration { return m.registry })
}

// busy is the part of the processors' time that the push and the registry used.
func (r report) busy() float64 {
	return (r.cpu(0) + r.registry(0)).Seconds() / (r.wall(0).Seconds() * float64(runtime.NumCPU()))
}

func (r report) memory(n int) int64 {
	return median(r.results[n], func(m measure) int64 { return m.peak })
}

// section is the part of the document about the scenario.
func (r report) section() string {
	var b strings.Builder
	peer, thin := r.peer(r.scenario.expect.wallOf, r.wall), r.thinnest()
	fmt.Fprintf(&b, "### %s\n\nExpected: %s. %d rounds.\n\n", r.scenario.name, r.scenario.expect, len(r.results[0]))
	fmt.Fprintf(&b, "| | wall | ÷ %s | processor | Gitea's | memory | sent | ÷ %s | requests |\n|---|---|---|---|---|---|---|---|---|\n",
		r.scenario.tools[peer].name, r.scenario.tools[thin].name)
	for i, t := range r.scenario.tools {
		cpu := fmt.Sprintf("%.2f s", r.cpu(i).Seconds())
		memory := fmt.Sprintf("%d MiB", r.memory(i)>>20)
		if t.daemon {
			cpu, memory = "", "" // another process has them
		}
		fmt.Fprintf(&b, "| %s | %.2f s | %.2f | %s | %.2f s | %s | %.1f MB | %s | %d |\n",
			t.name, r.wall(i).Seconds(), r.ratio(i, peer), cpu, r.registry(i).Seconds(), memory, megabytes(r.counts[i].sent), r.sentRatio(i, thin), r.counts[i].requests)
	}
	if better := r.betterWay(); better >= 0 {
		fmt.Fprintf(&b, "\nBy itself it takes %.2f of the better of the two ways; at most %.2f is expected.\n", r.ratio(0, better), mostOfBetter)
	}
	if l := r.scenario.link; l.rate > 0 && r.scenario.before == nothing {
		fmt.Fprintf(&b, "\nThe link needs %.2f s for what ours sends%s and %d round trips; ours takes %.2f of that.\n", r.least().Seconds(), r.again(), leastRoundTrips, r.ofLeast())
	}
	if l, e := r.scenario.link, r.scenario.expect; l.rate > 0 && e.wall > 0 && r.ratio(0, peer) > e.wall {
		fmt.Fprintf(&b, "\nBy the link alone it is %.2f of %s, whatever the program does.\n", r.least().Seconds()/r.wall(peer).Seconds(), r.scenario.tools[peer].name)
	}
	if missed := r.missed(peer, thin); missed != "" {
		fmt.Fprintf(&b, "\nMissed: %s. %s Push and registry used %.0f %% of the processors.\n", missed, r.scenario.limit, 100*r.busy())
	}
	return b.String()
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }

// missed names what is not as expected.
func (r report) missed(peer, thin int) string {
	e := r.scenario.expect
	var parts []string
	if ratio := r.ratio(0, peer); e.wall > 0 && ratio > e.wall {
		parts = append(parts, fmt.Sprintf("wall %.2f", ratio))
	}
	if ratio := float64(r.counts[0].sent) / float64(max(r.counts[thin].sent, 1)); e.sent > 0 && ratio > e.sent+0.005 {
		parts = append(parts, fmt.Sprintf("sent %.2f", ratio))
	}
	if e.requests > 0 && r.counts[0].requests > e.requests {
		parts = append(parts, fmt.Sprintf("%d requests", r.counts[0].requests))
	}
	if e.memory > 0 && r.memory(0) > e.memory {
		parts = append(parts, fmt.Sprintf("%d MiB", r.memory(0)>>20))
	}
	if e.ofLeast > 0 && r.ofLeast() > e.ofLeast {
		parts = append(parts, fmt.Sprintf("%.2f of what the link needs", r.ofLeast()))
	}
	if e.nothingSent && r.counts[0].sent > 100_000 { // config and manifest
		parts = append(parts, fmt.Sprintf("%.1f MB sent", megabytes(r.counts[0].sent)))
	}
	if better := r.betterWay(); better >= 0 && r.ratio(0, better) > mostOfBetter {
		parts = append(parts, fmt.Sprintf("%.2f of the better way", r.ratio(0, better)))
	}
	return strings.Join(parts, ", ")
}

// ofLeast is ours in relation to what the link needs.
func (r report) ofLeast() float64 { return r.wall(0).Seconds() / r.least().Seconds() }

// least is what the link needs for what ours sends: also for what is lost with its
// connection and sent again, where connections are lost.
func (r report) least() time.Duration {
	return r.scenario.link.least(max(r.counts[0].sent, r.passed()))
}

// passed is what went over a link that loses connections.
func (r report) passed() int64 {
	if r.scenario.link.cuts == 0 {
		return 0
	}
	return median(r.results[0], func(m measure) int64 { return m.passed })
}

// again says how much was sent once more.
func (r report) again() string {
	if more := r.passed() - r.counts[0].sent; more > 0 {
		return fmt.Sprintf(" (%.1f MB of it again, as the registry keeps nothing of a blob whose connection is lost)", megabytes(more))
	}
	return ""
}

// mostOfBetter is how much longer than the better of its ways ours may take
// when it chooses by itself.
const mostOfBetter = 1.20

// ours reports whether a tool is this project's.
func ours(t tool) bool {
	return strings.HasPrefix(t.name, "docker gitea") || strings.HasPrefix(t.name, "docker-gitea")
}

// betterWay is the quicker of those of our ways that are asked for, -1 where
// there are none.
func (r report) betterWay() int {
	best := -1
	for i, t := range r.scenario.tools {
		if strings.Contains(t.name, "--via") && (best < 0 || r.wall(i) < r.wall(best)) {
			best = i
		}
	}
	return best
}

// peer is the one called name, or the one that has the least of.
func (r report) peer(name string, of func(n int) time.Duration) int {
	best := -1
	for i, t := range r.scenario.tools {
		switch {
		case t.name == name:
			return i
		case !ours(t) && (best < 0 || of(i) < of(best)):
			best = i
		}
	}
	return best
}

// thinnest is the peer that sends least, or the one that is named.
func (r report) thinnest() int {
	return r.peer(r.scenario.expect.sentOf, func(n int) time.Duration { return time.Duration(r.counts[n].sent) })
}

// ratio is the median of ratios.
func (r report) ratio(tool, peer int) float64 {
	ratios := r.ratios(tool, peer)
	return ratios[len(ratios)/2]
}

// ratios compares round by round, since the machine's pace may drift. They are
// sorted.
func (r report) ratios(tool, peer int) (ratios []float64) {
	for round := range min(len(r.results[tool]), len(r.results[peer])) {
		ratios = append(ratios, r.results[tool][round].wall.Seconds()/r.results[peer][round].wall.Seconds())
	}
	slices.Sort(ratios)
	return ratios
}

func (r report) sentRatio(tool, peer int) string {
	if r.counts[peer].sent < 100_000 { // configs and manifests alone
		return ""
	}
	return fmt.Sprintf("%.2f", float64(r.counts[tool].sent)/float64(r.counts[peer].sent))
}

func median[T cmp.Ordered](all []measure, of func(measure) T) T {
	var values []T
	for _, m := range all {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return values[len(values)/2]
}
