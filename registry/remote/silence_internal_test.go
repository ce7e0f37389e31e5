package remote

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		s := &silence{tell: func() { told.Add(1) }}
		for _, step := range []struct {
			name  string
			do    func()
			after time.Duration
			want  int64
		}{
			{"one request", s.begin, 20 * time.Second, 0},
			{"and another", s.begin, 20 * time.Second, 0},
			{"something moves", s.moved, 20 * time.Second, 0},
			{"and then nothing", func() {}, 20 * time.Second, 1},
			{"for an hour", func() {}, time.Hour, 1},
			{"an answer, and again nothing", s.end, time.Minute, 2},
			{"no request at all", s.end, time.Minute, 2},
		} {
			step.do()
			time.Sleep(step.after) // of the test's own clock
			synctest.Wait()
			if told := told.Load(); told != step.want {
				t.Errorf("%s: told %d times, want %d", step.name, told, step.want)
			}
		}
	})
}

// hanging is a registry that does not answer.
type hanging struct{ after time.Duration }

func (h hanging) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(h.after) // of the test's own clock
	return nil, registry.ErrStalled
}

// Who waits for a server that hangs is told so, with its name.
func TestSilenceOfAServerIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := registry.RegistryConfig{URL: "https://git.example.com", Auth: registry.AuthConfig{Token: "x"}}
		c, err := New(config, &Options{Transport: hanging{2 * time.Minute}, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		var notes []string
		err = c.Push(t.Context(), "me/app:1", registry.PushOptions{Progress: func(e registry.Event) { notes = append(notes, e.Note) }})
		if len(notes) != 1 || !strings.Contains(notes[0], "git.example.com") {
			t.Errorf("got %q after %v", notes, err)
		}
	})
}
