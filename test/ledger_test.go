//go:build e2e

package test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

var update = flag.Bool("update", false, "write the tables of the fault suite into docs/reliability.md")

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

// tally counts pushes by their end, and the upload sessions that they left on
// the server.
type tally struct {
	ends     [2]int
	sessions int
}

func (a *tally) add(how end, sessions int) {
	a.ends[how]++
	a.sessions += sessions
}

// String is the cells of a table.
func (a tally) String() string {
	return fmt.Sprintf("%d | %d | %d | %d", a.ends[survived]+a.ends[named], a.ends[survived], a.ends[named], a.sessions)
}

// ledger gathers what became of all pushes.
type ledger struct {
	mu      sync.Mutex // guards the fields below
	entries []entry
	faults  map[fault]*tally
}

// met adds a push to its entry, and to its fault.
func (l *ledger) met(e *entry, kind fault, how end, sessions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.add(how, sessions)
	if l.faults == nil {
		l.faults = map[fault]*tally{}
	}
	if l.faults[kind] == nil {
		l.faults[kind] = &tally{}
	}
	l.faults[kind].add(how, sessions)
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
	fmt.Fprintln(&out, "| what is pushed, or what happens | to | pushes | ended well | with a named error | sessions left | damaged tags | files left |")
	fmt.Fprintln(&out, "|---|---|---|---|---|---|---|---|")
	for _, e := range l.entries {
		fmt.Fprintf(&out, "| %s | %s | %s | %d | %d |\n", e.situation, e.registry, e.tally, e.damaged, e.files)
	}
	fmt.Fprint(&out, "\n| fault | met | survived | with a named error | sessions left |\n|---|---|---|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(l.faults)) {
		fmt.Fprintf(&out, "| %s | %s |\n", kind, l.faults[kind])
	}
	return out.String()
}

const (
	reliability = "../docs/reliability.md"
	tablesBegin = "<!-- made by make test-faults UPDATE=1 -->\n"
	tablesEnd   = "<!-- end -->\n"
)

// publish prints the tables, and writes them into the documentation when that
// was asked for.
func (l *ledger) publish(t *testing.T) {
	t.Helper()
	t.Logf("\n%s", l.tables())
	if !*update {
		return
	}
	doc, err := os.ReadFile(reliability)
	servers.Need(t, err)
	before, rest, begun := bytes.Cut(doc, []byte(tablesBegin))
	_, after, ended := bytes.Cut(rest, []byte(tablesEnd))
	if !begun || !ended {
		t.Fatalf("%s has no place for the tables", reliability)
	}
	writeFile(t, reliability, slices.Concat(before, []byte(tablesBegin+"\n"+l.tables()+"\n"+tablesEnd), after))
}
