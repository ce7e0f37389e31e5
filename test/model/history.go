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

// longest is how many scenes a history has at most.
const longest = 5

var histories = rapid.Custom(func(t *rapid.T) history {
	c := chooser(t)
	kinds := []registrytest.Config{
		{Flavor: registrytest.Gitea},
		{Flavor: registrytest.Gitea},
		{Flavor: registrytest.Gitea},
		{Flavor: registrytest.Distribution},
		{Flavor: registrytest.Distribution, OCIOnly: true},
		{Flavor: registrytest.Forgejo},
	}
	h := history{setting: setting{kinds: [2]registrytest.Config{pick(c, kinds), pick(c, kinds)}, modern: c(2) == 1, part: c(2) == 1}}
	for _, scene := range rapid.SliceOfN(scenes, 1, longest).Draw(t, "events") {
		h.events = append(h.events, scene...)
	}
	return h
})

// scenes are a push or more with what happens before: most often one event, so
// that each kind comes right before a push of each kind.
var scenes = rapid.Custom(func(t *rapid.T) []event {
	c := chooser(t)
	var scene []event
	for range []int{0, 0, 0, 1, 1, 1, 1, 1, 1, 2}[c(10)] {
		scene = append(scene, pick(c, happenings)(c))
	}
	switch n := c(20); {
	case n < 9:
		return append(scene, somePush(c))
	case n < 11:
		return append(scene, somePair(c))
	case n < 12:
		return append(scene, overtaken(c)...)
	case n < 14:
		return append(scene, borrowed(c)...)
	}
	return append(scene, &again{n: c(3) / 2, tag: []string{"", "", "dev"}[c(3)]})
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
}
