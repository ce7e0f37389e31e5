package progress

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/mattn/go-runewidth"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/internal/gate/gatetest"
	"github.com/docker-gitea/docker-gitea/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPlain(t *testing.T) {
	var out strings.Builder
	clock := time.Unix(0, 0)
	p := newPlain(Screen{Writer: &out}, func() time.Time { return clock })
	for _, step := range []struct {
		after time.Duration
		event registry.Event
	}{
		{0, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusWaiting}},
		{0, registry.Event{Name: "b", ID: "bbbbbbbbbbbb", Status: registry.StatusExists}},
		{0, registry.Event{Name: "c", ID: "cccccccccccc", Status: registry.StatusMounted, From: "me/base"}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushing, Current: 1e6, Total: 9e7}},
		{10 * time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushing, Current: 3e7, Total: 9e7, Estimated: true}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusRetrying, Wait: 2 * time.Second, Err: errors.New("connection reset")}},
		{0, registry.Event{Note: "the registry stores the tag \"V1\" as \"v1\""}},
		{time.Second, registry.Event{Name: "a", ID: "aaaaaaaaaaaa", Status: registry.StatusPushed}},
	} {
		clock = clock.Add(step.after)
		p.Event(step.event)
	}
	p.Done()
	want := `bbbbbbbbbbbb: Layer already exists
cccccccccccc: Mounted from me/base
aaaaaaaaaaaa: Pushing 30MB/~90MB
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
	estimated := registry.Event{ID: "0123456789ab", Status: registry.StatusPushing, Current: 45e6, Total: 9e7, Estimated: true}
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
		{"30 columns", pushing, 2e6, 32, "0123456789ab: Pushing 45MB/90MB"},
		{"20 columns", pushing, 2e6, 20, "0123456789ab: Pushi…"},
		{"unknown size", unknown, 0, 80, "0123456789ab: Compressing 45MB"},
		{"estimated size", estimated, 0, 60, "0123456789ab: Pushing [============>            ] 45MB/~90MB"},
		{"more than all", over, 0, 60, "0123456789ab: Pushing [==========================] 95MB/95MB"},
		{"wide characters", failed, 0, 30, "0123456789ab: Retrying: 連線…"},
		{"pushed", registry.Event{ID: "0123456789ab", Status: registry.StatusPushed, Current: 1, Total: 1}, 0, 80, "0123456789ab: Pushed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b blob
			b.update(registry.Event{ID: test.event.ID, Status: test.event.Status}, time.Unix(0, 0))
			b.update(test.event, time.Unix(0, 0))
			now := time.Unix(0, 0)
			if test.rate > 0 {
				now = now.Add(time.Duration(float64(test.event.Current) / test.rate * float64(time.Second)))
			}
			got := b.line(now, test.width)
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
		{total{blobs: 60, waiting: 55, finished: 1, current: 1e7, total: 3e7, estimated: true, moving: true, rate: 1e6}, 80, "1 of 60 done, 10MB of ~30MB, ~20s left, 1.0MB/s, 55 waiting"},
		{total{blobs: 3, finished: 1, current: 1e7, total: 3e7, rate: 1e6}, 80, "1 of 3 done, 10MB of 30MB"}, // all wait for a retry
		{total{blobs: 3, finished: 1, current: 1e7, total: 3e7, moving: true, rate: 1e6}, 80, "1 of 3 done, 10MB of 30MB, 20s left, 1.0MB/s"},
		{total{blobs: 3, finished: 3, current: 3e7, total: 3e7, rate: 1e6}, 80, "3 of 3 done, 30MB of 30MB"},
		{total{blobs: 3, finished: 1, current: 1e7, total: 3e7, moving: true, rate: 1e6}, 20, "1 of 3 done"},
	} {
		if got := test.total.line(test.width); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// The screen keeps a line of each blob and of each note, once, and no total.
func TestTerminalLeavesFinalLines(t *testing.T) {
	var out strings.Builder
	display := New(ModeTTY, Screen{Writer: &out})
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
	for i, part := range strings.Split(strings.ReplaceAll(written, "\r", ""), "\x1b[") {
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
		{"json", true, &jsonLines{}},
	} {
		mode, err := ParseMode(test.mode)
		if err != nil {
			t.Fatal(err)
		}
		got := New(mode, Screen{Writer: io.Discard, Terminal: test.terminal})
		if shown, ok := got.(*printable); ok {
			got = shown.Display
		}
		if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", test.want) {
			t.Errorf("%s: got %T, want %T", test.mode, got, test.want)
		}
	}
	if _, err := ParseMode("loud"); err == nil {
		t.Error("loud is accepted as a mode")
	}
}

// Nothing goes back within a state, and a new try begins anew.
func TestBlobNeverGoesBack(t *testing.T) {
	var b blob
	for i, step := range []struct {
		event registry.Event
		want  float64
	}{
		{registry.Event{Status: registry.StatusPushing, Current: 50, Total: 100, Estimated: true}, 0.5},
		{registry.Event{Status: registry.StatusPushing, Current: 60, Total: 200, Estimated: true}, 0.5},
		{registry.Event{Status: registry.StatusPushing, Current: 10, Total: 100}, 0.6},
		{registry.Event{Status: registry.StatusPushing, Current: 120, Total: 100}, 1},
		{registry.Event{Status: registry.StatusRetrying, Total: 100}, 0},
		{registry.Event{Status: registry.StatusPushing, Current: 10, Total: 100}, 0.1},
	} {
		before := b.event
		b.update(step.event, time.Unix(int64(i), 0))
		if b.done != step.want {
			t.Errorf("step %d: got %v, want %v", i, b.done, step.want)
		}
		if b.event.Status == before.Status && b.event.Current < before.Current {
			t.Errorf("step %d: went back from %d to %d", i, before.Current, b.event.Current)
		}
	}
}

// What the registry has, and what waits, is not on its way.
func TestTotalCounts(t *testing.T) {
	var got total
	for _, e := range []registry.Event{
		{Status: registry.StatusWaiting, Total: 100, Estimated: true},
		{Status: registry.StatusCompressing, Current: 50, Total: 100},
		{Status: registry.StatusPushing, Current: 10, Total: 40},
		{Status: registry.StatusPushed, Current: 20, Total: 20},
		{Status: registry.StatusExists, Current: 1000, Total: 1000},
		{Status: registry.StatusMounted, Current: 1000, Total: 1000},
	} {
		got.add(e)
	}
	if want := (total{blobs: 6, waiting: 1, finished: 3, current: 30, total: 260, estimated: true, moving: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := newJSON(Screen{Writer: &out, Repository: "git.example.com/me/app"}, func() time.Time { return clock })
	event := func(status registry.Status, current, total int64) registry.Event {
		return registry.Event{Name: "blobs/sha256/aa", ID: "aaaaaaaaaaaa", Status: status, Current: current, Total: total}
	}
	retry := event(registry.StatusRetrying, 0, 90)
	retry.Wait, retry.Err = 1500*time.Millisecond, errors.New("connection \"reset\"\nby <peer>")
	guess := event(registry.StatusPushing, 10, 80)
	guess.Estimated = true
	for _, step := range []struct {
		after time.Duration
		event registry.Event
	}{
		{0, registry.Event{Note: "The push refers to repository [git.example.com/me/app]"}},
		{0, event(registry.StatusWaiting, 0, 90)},
		{0, event(registry.StatusWaiting, 0, 90)}, // once
		{0, event(registry.StatusCompressing, 50, 100)},
		{0, guess},
		{time.Second / 2, event(registry.StatusPushing, 20, 90)}, // too soon
		{time.Second / 2, event(registry.StatusPushing, 30, 90)},
		{0, retry},
		{0, retry}, // each of them
		{0, event(registry.StatusPushed, 90, 90)},
		{0, event(registry.StatusExists, 7, 7)},
		{0, registry.Event{Name: "blobs/sha256/bb", ID: "bbbbbbbbbbbb", Status: registry.StatusMounted, Current: 7, Total: 7, Digest: "sha256:bb", From: "me/base"}},
	} {
		clock = clock.Add(step.after)
		j.Event(step.event)
	}
	j.Done()
	golden(t, "testdata/progress.jsonl", out.String())
	Failed(&out, "it broke", "", "mend it")
	schema := schemaOf(t)
	for line := range strings.Lines(out.String()) {
		if err := validate(t, schema, line); err != nil {
			t.Errorf("%s%v", line, err)
		}
	}
	if err := validate(t, schema, `{"time":"2026-01-02T03:04:05Z","layer":"a","id":"a","status":"Layer already exists"}`); err == nil {
		t.Error("the schema accepts a status that there is not")
	}
}

// schemaOf is the schema that is published.
func schemaOf(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	content, err := os.ReadFile("../../docs/progress.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// validate compares a line with the schema, which must name all of its fields.
func validate(t *testing.T, schema *jsonschema.Resolved, line string) error {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		t.Fatal(err)
	}
	for field := range object {
		if schema.Schema().Properties[field] == nil {
			t.Errorf("the schema has no field %q", field)
		}
	}
	return schema.Validate(object)
}

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run with -update if that is right:\n%s", diff)
	}
}

// A window that has become narrower has broken the lines: there are more to
// erase than were written.
func TestConsoleCountsBrokenLines(t *testing.T) {
	var out strings.Builder
	width := 80
	c := &consoleWriter{out: &out, size: func() (int, int) { return width, 24 }}
	draw := func(text string, lines int) string {
		t.Helper()
		out.Reset()
		_, _ = c.Write([]byte(text))
		if err := c.Flush(lines); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	colored := "\x1b[33m" + strings.Repeat("連", 35) + "\x1b[0m\n"
	if got, want := draw("a note\nshort\n"+colored, 2), "a note\nshort\n"+colored; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	width = 30 // 70 columns take three rows, and "short" takes one
	if got, want := draw("short\n", 1), "\r\x1b[4A\x1b[Jshort\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := draw("", 0), "\r\x1b[1A\x1b[J"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is finished scrolls up, however much of it there is at once. Of what is
// not, no more is drawn than can be drawn over.
func TestConsoleKeepsWhatIsFinished(t *testing.T) {
	var out strings.Builder
	c := &consoleWriter{out: &out, size: func() (int, int) { return 80, 4 }}
	_, _ = c.Write([]byte("1\n2\n3\n4\n5\n6\n7\n8\nlive 1\nlive 2\nlive 3\nlive 4\nlive 5\n"))
	if err := c.Flush(5); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "1\n2\n3\n4\n5\n6\n7\n8\nlive 4\nlive 5\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	out.Reset()
	if err := c.Flush(0); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "\r\x1b[2A\x1b[J"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, height, err := c.GetTermSize(); err != nil || height < 1000 {
		t.Errorf("got a height of %d and %v; mpb drops what goes beyond it", height, err)
	}
}

// The push and the way through the daemon tell of themselves side by side.
func TestEventsSideBySide(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{ModePlain, ModeJSON} {
		var out gatetest.Alone
		display := New(mode, Screen{Writer: &out})
		var tellers sync.WaitGroup
		for range 8 {
			tellers.Go(func() {
				for range 100 {
					display.Event(registry.Event{Note: "a sentence"})
				}
			})
		}
		tellers.Wait()
		display.Done()
		if beside := out.Beside(); beside > 0 {
			t.Errorf("%s: %d lines were written beside another one", mode, beside)
		}
	}
}
