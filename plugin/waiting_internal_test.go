package plugin

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What takes long is named once, and not to those who want the result alone.
func TestWaiting(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode  string
		quiet bool
		takes time.Duration
		want  string
	}{
		{"plain", false, longWait - 1, ""},
		{"plain", false, 10 * longWait, "waiting: the daemon has not answered for 3s\n"},
		{"plain", true, 10 * longWait, ""},
		{"json", false, 10 * longWait, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var stderr strings.Builder
			p := &pusher{app: &app{System: System{Stderr: &stderr}}}
			p.plan.general.quiet = test.quiet
			if err := p.plan.general.progress.Set(test.mode); err != nil {
				t.Fatal(err)
			}
			done := p.waiting("the daemon")
			time.Sleep(test.takes)
			synctest.Wait()
			done()
			if stderr.String() != test.want {
				t.Errorf("%+v: got %q", test, &stderr)
			}
		})
	}
}
