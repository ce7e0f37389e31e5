package model

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// history is what happens in a world, from its beginning.
type history struct {
	setting setting
	events  []event
}

// GoString is what rapid prints.
func (h history) GoString() string { return fmt.Sprintf("%s\n%s", h.setting, join(h.events)) }

// longest is how many events a history has at most.
const longest = 12

var histories = rapid.Custom(func(t *rapid.T) history {
	c := chooser(t)
	flavors := []registrytest.Flavor{registrytest.Gitea, registrytest.Gitea, registrytest.Distribution, registrytest.Forgejo}
	h := history{setting: setting{flavors: [2]registrytest.Flavor{pick(c, flavors), pick(c, flavors)}, modern: c(2) == 1}}
	h.events = rapid.SliceOfN(anyEvent, 1, longest).Draw(t, "events")
	return h
})

var anyEvent = rapid.Custom(func(t *rapid.T) event {
	c := chooser(t)
	switch n := c(32); {
	case n < 10:
		return somePush(c)
	case n < 11:
		return somePair(c)
	case n < 18:
		return &again{n: c(3) / 2, tag: []string{"", "", "dev"}[c(3)]}
	}
	return pick(c, happenings)(c)
})

// chooser draws numbers bit by bit: rapid's own integers are small more often
// than not.
func chooser(t *rapid.T) choice {
	return func(n int) int {
		const bits = 10 // n is small
		number := 0
		for range bits {
			number *= 2
			if bit.Draw(t, "bit") {
				number++
			}
		}
		return number % n
	}
}

var bit = rapid.Bool()

// run makes a history happen with a cast.
func (h history) run(c cast, f *files, l *ledger) error {
	l.begun()
	w := newWorld(h.setting, c, f)
	w.begin()
	var before event
	for i, e := range h.events {
		err := e.do(w)
		if err == nil {
			err = w.invariants()
		}
		if err != nil {
			_ = w.close() // err says more
			return fmt.Errorf("%d. %s: %w", i+1, e, err)
		}
		l.happened(before, e)
		before = e
	}
	return w.close()
}

// begin gives the daemons their first images; of one, the containerd store has
// pulled one platform.
func (w *world) begin() {
	w.classic.load(named("ab"), names[0], true)
	w.classic.load(named("ac"), names[1], true)
	w.store.load(named("ab+ad"), names[0], false)
	w.store.load(named("ac"), names[1], true)
}
