package model

import (
	"fmt"
	"sync"
)

// ledger counts what happened in histories. The zero value is empty.
type ledger struct {
	mu                        sync.Mutex // guards the fields below
	histories, events, pushes int
	// well and refused are how pushes ended; broken are those that something
	// happened to in the middle.
	well, refused, broken int
	pairs                 map[followed]int
}

// followed is a push right after another event.
type followed struct {
	event string
	way   way
}

func (f followed) String() string { return fmt.Sprintf("%q before a push from %q", f.event, f.way) }

// begun counts a history.
func (l *ledger) begun() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.histories++
}

// happened counts an event that went as it has to. before is nil at the
// beginning.
func (l *ledger) happened(before, e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events++
	for _, p := range pushesOf(e) {
		l.pushes++
		switch {
		case p.trouble.kind != untroubled:
			l.broken++
		case p.ended.code == 0:
			l.well++
		default:
			l.refused++
		}
		if before != nil {
			if l.pairs == nil {
				l.pairs = map[followed]int{}
			}
			l.pairs[followed{before.name(), p.source.way}]++
		}
	}
}

// pushesOf are the pushes in an event.
func pushesOf(e event) []*push {
	switch e := e.(type) {
	case *push:
		return []*push{e}
	case *pair:
		return []*push{e.one, e.other}
	case *again:
		if e.push != nil {
			return []*push{e.push}
		}
	}
	return nil
}

// rarest is the pair of event and source that occurred least, of all that there
// can be.
func (l *ledger) rarest() (rarest followed, times int) {
	zero := func(int) int { return 0 }
	events := []string{(&push{}).name(), (&pair{}).name()}
	for _, make := range happenings {
		events = append(events, make(zero).name())
	}
	times = -1
	for _, e := range events {
		for _, w := range ways {
			if n := l.pairs[followed{e, w}]; times < 0 || n < times {
				rarest, times = followed{e, w}, n
			}
		}
	}
	return rarest, times
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d histories of %d events; of %d pushes %d ended well, %d were refused, %d met trouble on their way",
		l.histories, l.events, l.pushes, l.well, l.refused, l.broken)
}

// table is that of docs/reliability.md.
func (l *ledger) table() string {
	return fmt.Sprintf(`| histories | events | pushes | ended well | had to be refused | met trouble on their way |
|---|---|---|---|---|---|
| %d | %d | %d | %d | %d | %d |
`, l.histories, l.events, l.pushes, l.well, l.refused, l.broken)
}
