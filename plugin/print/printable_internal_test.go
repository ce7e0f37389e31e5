package print

import (
	"reflect"
	"testing"
	"time"
)

// A template gets the same value with every text in it on one line.
func TestPrintableValue(t *testing.T) {
	type inner struct{ Text string }
	type value struct {
		Text   string
		Number int
		List   []string
		Map    map[string]any
		Inner  *inner
		None   *inner
		Time   time.Time
	}
	bad, good := "a\n\x1b[2Jb\u202e", "a [2Jb"
	now := time.Now()
	given := value{bad, 1, []string{bad}, map[string]any{bad: []any{bad, nil}}, &inner{bad}, nil, now}
	want := value{good, 1, []string{good}, map[string]any{good: []any{good, nil}}, &inner{good}, nil, now}
	if got := printableValue(given); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	if given.List[0] != bad || given.Inner.Text != bad {
		t.Error("the value itself has changed")
	}
}
