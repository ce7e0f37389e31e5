package model

import (
	"fmt"
	"slices"
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
	case many:
		return e
	case *again:
		return e.call
	}
	return nil
}

// rarest is the pair of event and source that occurred least, of all that there
// can be.
func (l *ledger) rarest() (rarest followed, times int) {
	all := pairs()
	rarest = slices.MinFunc(all, func(a, b followed) int { return l.pairs[a] - l.pairs[b] })
	return rarest, l.pairs[rarest]
}

// pairs are all that there can be, in order.
func pairs() (all []followed) {
	for _, name := range sortedKeys(makers()) {
		for _, w := range ways {
			all = append(all, followed{name, w})
		}
	}
	return all
}

// makers are what makes up an event, by its name.
func makers() map[string]func(c choice) event {
	all := map[string]func(c choice) event{
		(&push{}).name(): func(c choice) event { return somePush(c, pick(c, ways)) },
		(&pair{}).name(): func(c choice) event { return somePair(c) },
		many{}.name():    func(c choice) event { return someSeveral(c) },
	}
	zero := func(int) int { return 0 }
	for _, make := range happenings {
		all[make(zero).name()] = func(c choice) event { return make(c) }
	}
	return all
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
