package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// scenario is one comparison.
type scenario struct {
	name string
	// expected is what should come out, in words.
	expected string
	image    string
	store    servers.Store
	tools    []tool
	// before is pushed first, by the same program to the same place, untimed:
	// nothing, the same image, or the image that changed since.
	before before
	// roundTrip is added between the program and the registry.
	roundTrip time.Duration
}

type before int

const (
	nothing before = iota
	same
	unchanged   // the image without its last layer
	otherOwners // the same image, to another owner
)

func scenarios(t tools) []scenario {
	return []scenario{
		{name: "archive, gzip, first push", expected: "wall ≤ 0.60 of the best, sent ≤ 1.00", image: toolchain, store: servers.Classic, tools: t.archive},
		{name: "archive, zstd, first push", expected: "wall ≤ 0.50 of the best, sent ≤ 0.80", image: toolchain, store: servers.Classic, tools: t.zstd},
		{name: "OCI layout, first push", expected: "wall ≤ 1.00 of the best, requests ≤ layers + 4", image: toolchain, store: servers.Classic, tools: t.layout},
		{name: "daemon, classic store, first push", expected: "wall ≤ 0.70 of the best", image: toolchain, store: servers.Classic, tools: t.daemon},
		{name: "daemon, containerd store, first push", expected: "wall ≤ 1.00 of the best", image: toolchain, store: servers.Containerd, tools: t.containerd},
		{name: "archive, nothing changed", expected: "wall ≤ 0.50 of the best, ≤ 3 requests", image: toolchain, store: servers.Classic, tools: t.archive, before: same},
		{name: "OCI layout, nothing changed", expected: "wall ≤ 0.50 of the best, ≤ 3 requests", image: toolchain, store: servers.Classic, tools: t.layout, before: same},
		{name: "daemon, classic store, nothing changed", expected: "wall ≤ 0.50 of the best, ≤ 3 requests", image: toolchain, store: servers.Classic, tools: t.daemon, before: same},
		{name: "daemon, containerd store, nothing changed", expected: "wall ≤ 0.50 of the best, ≤ 3 requests", image: toolchain, store: servers.Containerd, tools: t.containerd, before: same},
		{name: "daemon, classic store, one small layer changed", expected: "wall ≤ 1.10 of docker push", image: toolchain, store: servers.Classic, tools: t.daemon, before: unchanged},
		{name: "daemon, containerd store, one small layer changed", expected: "wall ≤ 1.10 of docker push", image: toolchain, store: servers.Containerd, tools: t.containerd, before: unchanged},
		{name: "60 small layers, 50 ms round trip", expected: "wall ≤ 0.50 of the best", image: small, store: servers.Classic, tools: t.layout, roundTrip: 50 * time.Millisecond},
		{name: "60 small layers, 50 ms round trip, nothing changed", expected: "at most 4 round trips", image: small, store: servers.Classic, tools: t.layout, before: same, roundTrip: 50 * time.Millisecond},
		{name: "one layer of 1.5 GB", expected: "memory ≤ 96 MiB", image: large, store: servers.Classic, tools: t.archive},
		{name: "layers known under another owner", expected: "no blob is sent", image: toolchain, store: servers.Classic, tools: t.layout, before: otherOwners},
	}
}

// run gives every tool its turn in every round, and then counts.
func (s scenario) run(ctx context.Context, images *images, rounds int) (report, error) {
	r := report{scenario: s, results: make([][]measure, len(s.tools)), counts: make([]measure, len(s.tools))}
	for round := range rounds + 1 {
		counting := round == rounds
		for i := range s.tools {
			n := (i + round) % len(s.tools) // nobody is always the first
			m, err := s.once(ctx, images, s.tools[n], counting)
			if err != nil {
				return r, fmt.Errorf("%s: %w", s.tools[n].name, err)
			}
			if counting {
				r.counts[n] = m
			} else {
				r.results[n] = append(r.results[n], m)
			}
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.tools[n].name, m)
		}
	}
	return r, nil
}

// once runs one tool against a registry of its own.
func (s scenario) once(ctx context.Context, images *images, t tool, counting bool) (m measure, err error) {
	image, err := images.get(ctx, s.image, s.store)
	if err != nil {
		return m, err
	}
	target, err := newTarget(ctx, s.roundTrip, counting)
	if err != nil {
		return m, err
	}
	defer target.stop()
	switch s.before {
	case nothing:
	case same, unchanged:
		_, err = target.push(ctx, t, image, "bench/app:1")
	case otherOwners:
		_, err = target.push(ctx, t, image, "other/app:1")
	}
	if err != nil {
		return m, err
	}
	if s.before == unchanged {
		if image, err = images.change(ctx, s.image, s.store); err != nil {
			return m, err
		}
	}
	target.counter.reset()
	m, err = target.push(ctx, t, image, "bench/app:1")
	m.requests, m.sent = target.counter.counts()
	return m, err
}
