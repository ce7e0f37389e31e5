package plugin

import (
	"fmt"
	"testing"
)

// Each image waits for those that send what it has as well, and for no others.
func TestFirstHolders(t *testing.T) {
	got := firstHolders([][]string{{"base", "a"}, {"base", "b"}, nil, {"b", "base", "c"}, {"d"}, {"c", "d"}})
	if want := "[[] [0] [] [1 0] [] [3 4]]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// What was opened to look at its layers is closed where its turn does not come.
func TestCancelledBeforeItsTurn(t *testing.T) {
	closed := 0
	kept := func() *first {
		return &first{&opened{close: func() error { closed++; return nil }}}
	}
	f := &fileImage{first: *kept()}
	if err := dropped([]piece{{origin: f}, {origin: &registryImage{first: *kept()}}}); err != nil || closed != 2 {
		t.Errorf("%v, closed %d", err, closed)
	}
	if err := dropped([]piece{{origin: f}}); err != nil || closed != 2 {
		t.Errorf("again: %v, closed %d", err, closed)
	}
}
