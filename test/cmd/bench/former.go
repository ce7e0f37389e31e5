//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// compare has this build and a former one push by turns, and prints for each
// scenario how long this one takes in relation to that.
func compare(ctx context.Context, rounds int, only, former string) (err error) {
	if former, err = filepath.Abs(former); err != nil {
		return err
	}
	b, err := newBench(ctx, only)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	fmt.Printf("| | rounds | median ratio | 95 %% of medians lie between | requests | former |\n|---|---|---|---|---|---|\n")
	for _, s := range scenarios(b.tools) {
		if !b.filter.MatchString(s.name) {
			continue
		}
		now := s.tools[0]
		s.tools = []tool{now, now.by(b.tools.ours, former)}
		s.tools[1].name = "docker-gitea, former"
		r, err := s.run(ctx, b.images, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		ratios := r.ratios(0, 1)
		low, high := interval(ratios)
		fmt.Printf("| %s | %d | %.3f | %.3f to %.3f | %d | %d |\n", s.name, len(ratios), ratios[len(ratios)/2], low, high, r.counts[0].requests, r.counts[1].requests)
	}
	return nil
}

// by is the tool with another program in the place of ours.
func (t tool) by(ours, other string) tool {
	args := t.args
	t.args = func(s subject, ref string) []string {
		all := slices.Clone(args(s, ref))
		for i := range all {
			all[i] = strings.ReplaceAll(all[i], ours, other)
		}
		return all
	}
	if t.plugin != "" {
		t.plugin = other
	}
	if t.first != nil {
		first := t.first.by(ours, other)
		t.first = &first
	}
	return t
}

// interval is the 95 % confidence interval of the median, by the ranks of the sample (the
// sign test). With fewer than six values it is all of them.
func interval(sorted []float64) (low, high float64) {
	n := len(sorted)
	below, term := 0.0, 1.0 // of 2^n
	rank := 0
	for k := range n {
		if below += term; 2*below > 0.05*math.Exp2(float64(n)) {
			break
		}
		rank = k
		term = term * float64(n-k) / float64(k+1)
	}
	return sorted[rank], sorted[n-1-rank]
}
