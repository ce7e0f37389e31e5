package plugin

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What takes long is named once, and not to those who want the result alone.
func TestWaiting(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		unheard bool
		takes   time.Duration
		want    string
	}{
		{false, longWait - 1, ""},
		{false, 10 * longWait, "waiting: the daemon has not answered for 3s\n"},
		{true, 10 * longWait, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			var stderr strings.Builder
			a := &app{System: System{Stderr: &stderr}, unheard: test.unheard}
			done := a.waiting("the daemon")
			time.Sleep(test.takes)
			synctest.Wait()
			done()
			if stderr.String() != test.want {
				t.Errorf("%+v: got %q", test, &stderr)
			}
		})
	}
}

func TestInterruptible(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	never, stop := net.Pipe()
	defer stop.Close()
	defer never.Close()
	stream := interruptible(ctx, never)
	time.AfterFunc(0, cancel)
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancelled context", err)
	}
}
