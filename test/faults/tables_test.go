//go:build e2e

package faults

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/doctest"
	"github.com/docker-gitea/docker-gitea/test/interfere"
)

var update = flag.Bool("update", false, "write the tables into docs/reliability.md")

// end is how a push ends that meets a fault; any other is the test's failure.
type end int

const (
	survived end = iota
	named
)

// entry is a line of the table: what became of the pushes of one kind.
type entry struct {
	situation, registry string
	damaged, files      int
	tally
}

// tally counts pushes by their end.
type tally struct {
	ends [2]int
	// left are the upload sessions that they left on the server, later those
	// of them that were still there after the same push again.
	left, later int
}

func (a *tally) add(b tally) {
	for how := range a.ends {
		a.ends[how] += b.ends[how]
	}
	a.left += b.left
	a.later += b.later
}

// pushes is how many there were, and how they ended, as cells of a table.
func (a tally) pushes() string {
	return fmt.Sprintf("%d | %d | %d", a.ends[survived]+a.ends[named], a.ends[survived], a.ends[named])
}

// sessions are those that they left, as cells of a table.
func (a tally) sessions() string { return fmt.Sprintf("%d | %d", a.left, a.later) }

// ledger gathers what became of all pushes.
type ledger struct {
	mu      sync.Mutex // guards the fields below
	entries []entry
	// faults are the pushes that met each, by registry.
	faults map[interfere.Fault]map[string]tally
}

// met adds a push to its entry, and to its fault.
func (l *ledger) met(e *entry, kind interfere.Fault, how end) {
	var one tally
	one.ends[how]++
	l.count(e, kind, one)
}

// left adds the sessions that a push left, and those of them that the same push
// again did.
func (l *ledger) left(e *entry, kind interfere.Fault, sessions, later int) {
	l.count(e, kind, tally{left: sessions, later: later})
}

func (l *ledger) count(e *entry, kind interfere.Fault, more tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.add(more)
	if l.faults == nil {
		l.faults = map[interfere.Fault]map[string]tally{}
	}
	if l.faults[kind] == nil {
		l.faults[kind] = map[string]tally{}
	}
	sum := l.faults[kind][e.registry]
	sum.add(more)
	l.faults[kind][e.registry] = sum
}

func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
}

// tables are those of docs/reliability.md.
func (l *ledger) tables() string {
	var out strings.Builder
	slices.SortStableFunc(l.entries, func(a, b entry) int {
		return strings.Compare(a.situation+a.registry, b.situation+b.registry)
	})
	fmt.Fprintln(&out, "| what is pushed, or what happens | to | pushes | ended well | with a named error | sessions left | after the next push | damaged tags | files left |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|---|")
	for _, e := range l.entries {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %d | %d |\n", e.situation, e.registry, e.pushes(), e.sessions(), e.damaged, e.files)
	}
	fmt.Fprintln(&out, "\n| fault | met | survived | with a named error | sessions left in Gitea | after the next push | in distribution | after the next push |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|")
	for _, kind := range slices.Sorted(maps.Keys(l.faults)) {
		gitea, distribution := l.faults[kind][keptByGitea], l.faults[kind][keptByDistribution]
		both := gitea
		both.add(distribution)
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", kind, both.pushes(), gitea.sessions(), distribution.sessions())
	}
	return out.String()
}

// publish prints the tables, and writes them into the documentation when that
// was asked for.
func (l *ledger) publish(t *testing.T) {
	t.Helper()
	t.Logf("\n%s", l.tables())
	if *update {
		doctest.Section(t, "../../docs/reliability.md", "made by make test-faults UPDATE=1", "\n"+l.tables()+"\n", true)
	}
}
