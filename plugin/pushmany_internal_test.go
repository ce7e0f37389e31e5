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
