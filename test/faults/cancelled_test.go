//go:build e2e

package faults

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/interfere"
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
		for _, start := range targets {
			k := start(t)
			t.Run(k.name+" "+subject.name, func(t *testing.T) {
				t.Parallel()
				cancelWithEach(t, &sweep{
					subject: subject, target: k, ledger: l,
					entry: entry{situation: "cancelled with each request: " + subject.name, registry: k.name},
				})
			})
		}
	}
}

func cancelWithEach(t *testing.T, s *sweep) {
	t.Helper()
	g := interfere.StartGateway(t, s.target.Host, s.target.challenge)
	total := s.length(t, g)
	met := 0
	for at := range total {
		for _, kind := range []interfere.Fault{interfere.CancelRequest, interfere.CancelAnswer} {
			before := s.target.sessions(t)
			ctx, cancel := context.WithCancel(t.Context())
			g.Strike = cancel
			g.Arm(at, kind)
			n := s.images
			s.images++
			_, err := s.push(ctx, t, g, n, 0)
			cancel()
			if _, done := g.Count(); !done {
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
			left := s.target.settled(t, before) - before
			if kept := g.Cuts(); left > 0 && (!s.target.stubborn || left > kept) {
				t.Errorf("%s %d of %d: %d upload sessions are left, and %d bodies were cut", kind, at, total, left, kept)
			}
			held := s.target.held(t, tagOf(n))
			g.Disarm()
			s.again(t, g, at, kind, n, held)
			s.ledger.left(&s.entry, kind, left, s.target.sessions(t)-before)
		}
	}
	if int64(met) < total {
		t.Errorf("%d pushes were cancelled, want %d at least", met, total)
	}
	s.entry.damaged = s.target.damaged
	s.ledger.add(s.entry)
}
