package progress

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlain(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	p := newPlain(&out, func() time.Time { return clock })
	for _, step := range []struct {
		after time.Duration
		event registry.Event
	}{
		{0, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusWaiting}},
		{0, registry.Event{Name: "b", ID: "bbbbbbbbbbbb", Status: registry.StatusExists}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushing, Current: 1e6, Total: 9e7}},
		{10 * time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushing, Current: 3e7, Total: 9e7}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusRetrying, Wait: 2 * time.Second, Err: errors.New("connection reset")}},
		{0, registry.Event{Note: "the registry stores the tag \"V1\" as \"v1\""}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushed}},
	} {
		clock = clock.Add(step.after)
		p.Event(step.event)
	}
	p.Done()
	want := `bbbbbbbbbbbb: Layer already exists
aaaaaaaaaaaa: Pushing 30MB/90MB
aaaaaaaaaaaa: Retrying in 2s: connection reset
the registry stores the tag "V1" as "v1"
aaaaaaaaaaaa: Pushed
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLine(t *testing.T) {
	pushing := registry.Event{ID: "0123456789ab", Status: registry.StatusPushing, Current: 45e6, Total: 9e7}
	unknown := registry.Event{ID: "0123456789ab", Status: registry.StatusCompressing, Current: 45e6}
	over := registry.Event{ID: "0123456789ab", Status: registry.StatusPushing, Current: 95e6, Total: 9e7}
	failed := registry.Event{ID: "0123456789ab", Status: registry.StatusRetrying, Err: errors.New("連線被重設")}
	for _, test := range []struct {
		name  string
		event registry.Event
		rate  float64
		width int
		want  string
	}{
		{"wide", pushing, 2e6, 120, "0123456789ab: Pushing [=========================>                        ] 45MB/90MB 2.0MB/s"},
		{"80 columns", pushing, 2e6, 80, "0123456789ab: Pushing [===================>                  ] 45MB/90MB 2.0MB/s"},
		{"40 columns", pushing, 2e6, 40, "0123456789ab: Pushing 45MB/90MB 2.0MB/s"},
		{"20 columns", pushing, 2e6, 20, "0123456789ab: Pushi…"},
		{"unknown size", unknown, 0, 80, "0123456789ab: Compressing 45MB"},
		{"more than all", over, 0, 60, "0123456789ab: Pushing [==========================] 90MB/90MB"},
		{"wide characters", failed, 0, 30, "0123456789ab: Retrying: 連線…"},
		{"pushed", registry.Event{ID: "0123456789ab", Status: registry.StatusPushed, Current: 1, Total: 1}, 0, 80, "0123456789ab: Pushed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := line(test.event, test.rate, test.width)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if width := runewidth.StringWidth(got); width > test.width {
				t.Errorf("got %d columns, want at most %d", width, test.width)
			}
		})
	}
}

func TestTotalLine(t *testing.T) {
	for _, test := range []struct {
		total total
		width int
		want  string
	}{
		{total{blobs: 3}, 80, "0 of 3 done"},
		{total{blobs: 3, finished: 1, current: 1e7, total: 3e7, rate: 1e6}, 80, "1 of 3 done, 10MB of 30MB, 1.0MB/s, 20s left"},
		{total{blobs: 3, finished: 3, current: 3e7, total: 3e7, rate: 1e6}, 80, "3 of 3 done, 30MB of 30MB"},
		{total{blobs: 3, finished: 1, current: 1e7, total: 3e7, rate: 1e6}, 20, "1 of 3 done, 10MB o…"},
	} {
		if got := test.total.line(test.width); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// The screen keeps a line of each blob and of each note, once, and no total.
func TestTerminalLeavesFinalLines(t *testing.T) {
	var out strings.Builder
	display := New(ModeTTY, &out, false)
	display.Event(registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusWaiting, Total: 100})
	display.Event(registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushing, Current: 50, Total: 100})
	display.Event(registry.Event{Note: "a note"})
	display.Event(registry.Event{Name: "b", ID: "bbbbbbbbbbbb", Status: registry.StatusPushing, Current: 1, Total: 100})
	display.Event(registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushed, Current: 100, Total: 100})
	display.Done()
	display.Done()
	screen := lastScreen(out.String())
	for _, want := range []string{"a note\n", "aaaaaaaaaaaa: Pushed\n", "bbbbbbbbbbbb: Pushing"} {
		if strings.Count(screen, want) != 1 {
			t.Errorf("got\n%s\nwant %q once", screen, want)
		}
	}
	if strings.Contains(screen, "done") {
		t.Errorf("the total is still there:\n%s", screen)
	}
}

// lastScreen replays what was written: a cursor that goes up erases.
func lastScreen(written string) string {
	var lines []string
	for i, part := range strings.Split(written, "\x1b[") {
		if i > 0 {
			var up int
			for part[0] >= '0' && part[0] <= '9' {
				up, part = up*10+int(part[0]-'0'), part[1:]
			}
			part = strings.TrimPrefix(part, "A")
			lines = lines[:max(len(lines)-up, 0)]
		}
		lines = append(lines, strings.SplitAfter(strings.TrimPrefix(part, "J"), "\n")...)
		if last := len(lines) - 1; lines[last] == "" {
			lines = lines[:last]
		}
	}
	return strings.Join(lines, "")
}

func TestModes(t *testing.T) {
	for _, test := range []struct {
		mode     string
		terminal bool
		want     any
	}{
		{"auto", false, &plain{}},
		{"plain", true, &plain{}},
		{"quiet", true, quiet{}},
	} {
		mode, err := ParseMode(test.mode)
		if err != nil {
			t.Fatal(err)
		}
		if got := New(mode, io.Discard, test.terminal); !sameType(got, test.want) {
			t.Errorf("%s: got %T, want %T", test.mode, got, test.want)
		}
	}
	if _, err := ParseMode("loud"); err == nil {
		t.Error("loud is accepted as a mode")
	}
}

func sameType(a, b any) bool {
	switch a.(type) {
	case *plain:
		_, ok := b.(*plain)
		return ok
	case quiet:
		_, ok := b.(quiet)
		return ok
	}
	return false
}
