//go:build e2e

package test

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// TestInterruptLeavesNoSessionWhereverItComes cancels a push with every one of
// its requests: as the request arrives at the registry, whose answer is still
// to come, and as the answer leaves it. The registry's own store tells that no
// upload is left.
func TestInterruptLeavesNoSessionWhereverItComes(t *testing.T) {
	t.Parallel()
	kinds := []string{"an OCI layout", "an OCI layout, in chunks", "a large archive on standard input"}
	for _, subject := range atRest {
		if !slices.Contains(kinds, subject.name) {
			continue
		}
		for _, start := range keepers {
			k := start(t)
			t.Run(k.name+" "+subject.name, func(t *testing.T) {
				t.Parallel()
				interruptEverywhere(t, &sweep{subject: subject, keeper: k})
			})
		}
	}
}

func interruptEverywhere(t *testing.T, s *sweep) {
	t.Helper()
	g := startGateway(t, s.keeper.Host, s.keeper.challenge)
	total := s.length(t, g)
	met := 0
	for at := range total {
		for _, kind := range []fault{faultCancelRequest, faultCancelAnswer} {
			before := s.keeper.sessions(t)
			ctx, cancel := context.WithCancel(t.Context())
			g.strike = cancel
			g.arm(at, kind)
			_, err := s.push(ctx, t, g, s.images, 0)
			cancel()
			s.images++
			if _, done := g.count(); !done {
				continue
			}
			met++
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s %d: got %v", kind, at, err)
			}
			if left := s.keeper.settled(t, before) - before; left > 0 {
				t.Errorf("%s %d of %d: %d upload sessions are left", kind, at, total, left)
			}
		}
	}
	t.Logf("%d pushes of %d requests were interrupted", met, total)
	if int64(met) < total {
		t.Errorf("%d pushes were interrupted, want %d at least", met, total)
	}
}
