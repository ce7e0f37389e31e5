//go:build e2e

package test

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// cancelEverywhere cancels a push with every one of its requests: as the
// request arrives at the registry, whose answer is still to come, and as the
// answer leaves it. The registry's own store tells that no upload is left.
func cancelEverywhere(t *testing.T, l *ledger) {
	t.Helper()
	kinds := []string{"an OCI layout", "an OCI layout, in chunks", "a large archive on standard input"}
	for _, subject := range atRest {
		if !slices.Contains(kinds, subject.name) {
			continue
		}
		for _, start := range keepers {
			k := start(t)
			t.Run(k.name+" "+subject.name, func(t *testing.T) {
				t.Parallel()
				cancelWithEach(t, &sweep{
					subject: subject, keeper: k, ledger: l,
					entry: entry{situation: "cancelled with each request: " + subject.name, registry: k.name},
				})
			})
		}
	}
}

func cancelWithEach(t *testing.T, s *sweep) {
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
			n := s.images
			s.images++
			_, err := s.push(ctx, t, g, n, 0)
			cancel()
			if _, done := g.count(); !done {
				continue
			}
			met++
			switch {
			case err == nil:
				s.ledger.met(&s.entry, kind, survived)
			case errors.Is(err, context.Canceled):
				s.ledger.met(&s.entry, kind, named)
			default:
				t.Errorf("%s %d: got %v", kind, at, err)
			}
			left := s.keeper.settled(t, before) - before
			if kept := g.cuts(); left > 0 && (!s.keeper.stubborn || left > kept) {
				t.Errorf("%s %d of %d: %d upload sessions are left, and %d bodies were cut", kind, at, total, left, kept)
			}
			held := s.keeper.held(t, tagOf(n))
			g.disarm()
			s.again(t, g, at, kind, n, held)
			s.ledger.left(&s.entry, kind, left, s.keeper.sessions(t)-before)
		}
	}
	if int64(met) < total {
		t.Errorf("%d pushes were cancelled, want %d at least", met, total)
	}
	s.entry.damaged = s.keeper.damaged
	s.ledger.add(s.entry)
}
