//go:build e2e

package faults

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The faults that are other pushes.
const (
	faultSameImage  interfere.Fault = "the same image to the same tag at once"
	faultOtherImage interfere.Fault = "another image to the same tag at once"
	faultCrowd      interfere.Fault = "50 pushes at once"
)

const (
	crowd = 50
	// rounds is how often two pushes race for a tag.
	rounds = 4
)

// pushed is what became of a push among others.
type pushed struct {
	result client.Result
	err    error
}

// together makes pushes side by side, of the layouts in dirs to the tags, each
// with a client of its own.
func together(t *testing.T, k *target, dirs, tags []string) []pushed {
	t.Helper()
	all := make([]pushed, len(dirs))
	var pushes sync.WaitGroup
	for i := range all {
		c := k.client(t, k.Host, &remote.Options{})
		pushes.Go(func() {
			defer c.close()
			source, err := image.Open(dirs[i], nil)
			if err != nil {
				all[i].err = err
				return
			}
			options := client.PushOptions{Source: source, Result: &all[i].result}
			all[i].err = errors.Join(c.Push(t.Context(), k.repository+":"+tags[i], options), source.Close())
		})
	}
	pushes.Wait()
	return all
}

// judgeCrowd counts how the pushes ended.
func judgeCrowd(t *testing.T, l *ledger, e *entry, kind interfere.Fault, all []pushed) {
	t.Helper()
	for _, p := range all {
		switch d := client.Diagnose(p.err); {
		case p.err == nil:
			l.met(e, kind, survived)
		case d.Cause == "" || d.Hint == "":
			t.Errorf("%s: the failure has no name: %v", kind, p.err)
		default:
			l.met(e, kind, named)
			t.Logf("%s: %v", kind, p.err)
		}
	}
}

// pushSideBySide has two pushes race for a tag, and many for a server.
func pushSideBySide(t *testing.T, l *ledger) {
	t.Helper()
	for _, start := range targets {
		k := start(t)
		t.Run("one tag of "+k.name, func(t *testing.T) { raceForTags(t, l, k) })
		t.Run("many tags of "+k.name, func(t *testing.T) { pushMany(t, l, k) })
	}
}

func raceForTags(t *testing.T, l *ledger, k *target) {
	t.Helper()
	e := entry{situation: "two pushes of one tag", registry: k.name}
	before := k.sessions(t)
	for i := range rounds {
		one, other := samples.Layout(t, byte(2*i), smallLayer), samples.Layout(t, byte(2*i+1), smallLayer)
		for kind, dirs := range map[interfere.Fault][]string{faultSameImage: {one, one}, faultOtherImage: {one, other}} {
			tag := fmt.Sprintf("race%d-%d", i, len(kind))
			all := together(t, k, dirs, []string{tag, tag})
			judgeCrowd(t, l, &e, kind, all)
			left := k.sessions(t) - before
			before += left
			l.left(&e, kind, left, left)
			held := k.held(t, tag)
			if all[0].err == nil && held == all[0].result.Digest || all[1].err == nil && held == all[1].result.Digest {
				continue
			}
			k.damaged++
			t.Errorf("%s: the tag leads to %q, want one of %+v", kind, held, all)
		}
	}
	e.damaged = k.damaged
	l.add(e)
}

func pushMany(t *testing.T, l *ledger, k *target) {
	t.Helper()
	e := entry{situation: string(faultCrowd), registry: k.name}
	before := k.sessions(t)
	var dirs, tags []string
	for i := range crowd {
		dirs = append(dirs, samples.Layout(t, byte(i), 200_000+i))
		tags = append(tags, fmt.Sprint("crowd", i))
	}
	all := together(t, k, dirs, tags)
	judgeCrowd(t, l, &e, faultCrowd, all)
	left := k.sessions(t) - before
	for i, p := range all {
		held := k.held(t, tags[i])
		if p.err != nil {
			again := together(t, k, dirs[i:i+1], tags[i:i+1])[0]
			servers.Need(t, again.err)
			p.result = again.result
			if held == "" {
				held = k.held(t, tags[i])
			}
		}
		if held != p.result.Digest {
			k.damaged++
			t.Errorf("%s leads to %q, want %s", tags[i], held, p.result.Digest)
		}
	}
	l.left(&e, faultCrowd, left, k.sessions(t)-before)
	e.damaged = k.damaged
	l.add(e)
}
