package push

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// What is tried again waits while there are more than may be, and keeps its place.
func TestYield(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		for range 2 {
			if err := g.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.yield(t.Context()); err != nil || g.used != 2 {
			t.Errorf("of two that may be: %v, %d are under way", err, g.used)
		}
		g.narrow()
		waited := make(chan error, 1)
		go func() { waited <- g.yield(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Errorf("it did not wait: %v", err)
		default:
		}
		g.release()
		if err := <-waited; err != nil || g.used != 1 {
			t.Errorf("afterwards: %v, %d are under way", err, g.used)
		}
	})
}

func TestYieldOfAPushThatEnds(t *testing.T) {
	t.Parallel()
	g := newGate(2)
	for range 2 {
		if err := g.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.narrow()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.yield(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	g.release()
	g.release()
	if g.used != 0 {
		t.Errorf("%d are under way", g.used)
	}
}
