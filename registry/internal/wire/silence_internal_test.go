package wire

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		s := &Silence{Tell: func() { told.Add(1) }}
		for _, step := range []struct {
			name  string
			do    func()
			after time.Duration
			want  int64
		}{
			{"one request", s.begin, 20 * time.Second, 0},
			{"and another", s.begin, 20 * time.Second, 0},
			{"something moves", s.Moved, 20 * time.Second, 0},
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
