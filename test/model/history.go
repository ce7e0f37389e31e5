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

// longest is how many scenes a history has at most, beside those that it has to have.
const longest = 3

// histories makes up histories, in each of which all of the pairs of an event and a
// push occur. Rapid leaves out a pair where a failure does not need it.
func histories(pairs []followed) *rapid.Generator[history] {
	return rapid.Custom(func(t *rapid.T) history {
		c := chooser(t)
		kinds := []registrytest.Config{
			{Flavor: registrytest.Gitea},
			{Flavor: registrytest.Gitea},
			{Flavor: registrytest.Gitea},
			{Flavor: registrytest.Distribution},
			{Flavor: registrytest.Distribution, OCIOnly: true},
			{Flavor: registrytest.Forgejo},
		}
		h := history{setting: setting{
			kinds: [2]registrytest.Config{pick(c, kinds), pick(c, kinds)}, modern: c(2) == 1, part: c(2) == 1,
			stock: [2]*picture{pick(c, known), pick(c, known)},
		}}
		all := rapid.SliceOfN(scenes, 0, longest).Draw(t, "events")
		for _, p := range pairs {
			if leftOut := c(1<<bits)+c(1<<bits) == 0; !leftOut { // as in what rapid has shrunk
				all = append(all, []event{makers()[p.event](c), somePush(c, p.way)})
			}
		}
		for _, scene := range all {
			h.events = append(h.events, scene...)
		}
		return h
	})
}

// scenes are a push or more with what happens before: most often one event, so
// that each kind comes right before a push of each kind.
var scenes = rapid.Custom(func(t *rapid.T) []event {
	c := chooser(t)
	var scene []event
	for range []int{0, 0, 0, 1, 1, 1, 1, 1, 1, 2}[c(10)] {
		scene = append(scene, pick(c, happenings)(c))
	}
	switch n := c(20); {
	case n < 8:
		return append(scene, somePush(c, pick(c, ways)))
	case n < 10:
		return append(scene, somePair(c))
	case n < 12:
		return append(scene, someSeveral(c))
	case n < 13:
		return append(scene, overtaken(c)...)
	case n < 14:
		return append(scene, borrowed(c)...)
	case n < 15:
		return append(scene, joined(c)...)
	case n < 16:
		return append(scene, moved(c)...)
	}
	return append(scene, &again{n: c(3) / 2, tag: []string{"", "", "dev"}[c(3)]})
})

// bits is how many a choice takes. It is of few things.
const bits = 10

// chooser draws numbers bit by bit: rapid's own integers are small more often
// than not.
func chooser(t *rapid.T) choice {
	return func(n int) int {
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
// pulled one platform, and of another it may have pulled two of three. The registries
// have an image each, and one for another platform.
func (w *world) begin() {
	w.classic.load(named("ab"), names[0], every)
	w.classic.load(named("ac"), names[1], every)
	w.store.load(named("ab+ad"), names[0], 1)
	if w.setting.part {
		w.store.load(named("a+ab+e"), names[1], 2)
	} else {
		w.store.load(named("ac"), names[1], every)
	}
	for i, h := range w.hosts {
		h.receive(h.repositories[1], "1", w.setting.stock[i])
		h.receive(h.repositories[1], "arm", alone)
	}
}
