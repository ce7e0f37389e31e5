//go:build e2e

package faults

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// meddler is a proxy that interferes once with what passes.
type meddler interface {
	// Address is where clients find it.
	Address() string
	// Place chooses the fault and the position of try i of n, when a whole
	// push is total positions long.
	Place(i, n int, total int64) (at int64, kind interfere.Fault)
	// Arm has positions counted from 0, and kind happen at position at.
	Arm(at int64, kind interfere.Fault)
	// Disarm lets everything pass from now on.
	Disarm()
	// Count says how many positions have passed since then, and whether the
	// fault has happened.
	Count() (passed int64, done bool)
}

const (
	// stallTimeout is that of pushes which stall.
	stallTimeout = 500 * time.Millisecond
	// endless is when a push is taken to have no end.
	endless = time.Minute
)

// sweep is the pushes of one kind of source to one registry. Each meets a fault at
// another position.
type sweep struct {
	subject subject
	target  *target
	ledger  *ledger
	entry   entry

	images int // how many were used
}

// run makes n pushes through m.
func (s *sweep) run(t *testing.T, m meddler, n int) {
	t.Helper()
	spread(t, m, n, s.length(t, m), func(at int64, kind interfere.Fault) bool { return s.meet(t, m, at, kind) })
}

// spread has meet make n pushes or copies that meet faults of m, at positions spread over
// the total of one. Few may meet none, for which meet is false.
func spread(t *testing.T, m meddler, n int, total int64, meet func(at int64, kind interfere.Fault) bool) {
	t.Helper()
	missed := 0
	for i := range n {
		at, kind := m.Place(i, n, total)
		if !meet(at, kind) {
			missed++
		}
	}
	if missed > n/4 {
		t.Errorf("%d of %d met no fault", missed, n)
	}
}

// length is how many positions a push without a fault has.
func (s *sweep) length(t *testing.T, m meddler) (total int64) {
	t.Helper()
	for range 2 { // what all images have in common is there after the first
		m.Disarm()
		if _, err := s.push(t.Context(), t, m, s.images, 0); err != nil {
			t.Fatal(err)
		}
		s.images++
		total, _ = m.Count()
	}
	return total
}

// meet makes one push with a interfere.Fault, and checks what came of it. It is false
// when there was no fault.
func (s *sweep) meet(t *testing.T, m meddler, at int64, kind interfere.Fault) bool {
	t.Helper()
	n := s.images
	s.images++
	before := s.target.sessions(t)
	m.Arm(at, kind)
	result, err := s.faulty(t, m, n, kind)
	_, met := m.Count()
	m.Disarm()
	if !met {
		return false
	}
	left := s.target.sessions(t) - before
	if kind == interfere.Cancel && left > 0 {
		if left = s.target.settled(t, before) - before; left > 0 && !s.target.stubborn {
			t.Errorf("%s at %d: %d upload sessions are left", kind, at, left)
		}
	}
	held := s.target.held(t, tagOf(n))
	switch d := client.Diagnose(err); {
	case err == nil:
		s.ledger.met(&s.entry, kind, survived)
		s.want(t, kind, at, held, result.Digest)
	case kind == interfere.Cancel && errors.Is(err, context.Canceled):
		s.ledger.met(&s.entry, kind, named)
	case d.Cause == "" || d.Hint == "":
		t.Errorf("%s at %d: the failure has no name: %v", kind, at, err)
	default:
		s.ledger.met(&s.entry, kind, named)
		t.Logf("%s at %d: %v, %d sessions left", kind, at, err, left)
	}
	s.again(t, m, at, kind, n, held)
	s.ledger.left(&s.entry, kind, left, s.target.sessions(t)-before)
	return true
}

// again makes the push of image n once more, without the interfere.Fault, after which the
// tag led to held: that was nothing or the image, and now is the image.
func (s *sweep) again(t *testing.T, m meddler, at int64, kind interfere.Fault, n int, held digest.Digest) {
	t.Helper()
	result, err := s.push(t.Context(), t, m, n, 0)
	if err != nil {
		t.Errorf("%s at %d: the next push: %v", kind, at, err)
		return
	}
	if held != "" {
		s.want(t, kind, at, held, result.Digest)
	}
	s.want(t, kind, at, s.target.held(t, tagOf(n)), result.Digest)
}

// want compares what a tag leads to with the image's manifest.
func (s *sweep) want(t *testing.T, kind interfere.Fault, at int64, held, want digest.Digest) {
	t.Helper()
	if held != want {
		s.target.damaged++
		t.Errorf("%s at %d: the tag leads to %q, want %s", kind, at, held, want)
	}
}

// faulty makes the push that meets a fault.
func (s *sweep) faulty(t *testing.T, m meddler, n int, kind interfere.Fault) (client.Result, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if c, ok := m.(*interfere.Cutter); ok {
		c.Strike = cancel
	}
	stall := time.Duration(0)
	if kind == interfere.Stall {
		stall = stallTimeout
	}
	return s.push(ctx, t, m, n, stall)
}

// push makes one push through the proxy, with connections of its own.
func (s *sweep) push(ctx context.Context, t *testing.T, m meddler, n int, stall time.Duration) (client.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(ctx, endless, errors.New("no end"))
	defer cancel()
	o := s.subject.offer(t, n)
	c := s.target.client(t, m.Address(), &remote.Options{
		Save: o.save, StallTimeout: stall, Backoff: func(int) time.Duration { return 0 },
	})
	defer c.close()
	var result client.Result
	o.options.Result = &result
	err := c.Push(ctx, s.target.repository+":"+tagOf(n), o.options)
	return result, errors.Join(err, o.close())
}

// tagOf is where image n goes.
func tagOf(n int) string { return "t" + strconv.Itoa(n) }

// proxied is a client with connections of its own.
type proxied struct {
	*remote.Client
	close func()
}

// client is one that reaches the target through a proxy at host.
func (k *target) client(t *testing.T, host string, opts *remote.Options) proxied {
	t.Helper()
	config := client.RegistryConfig{URL: "http://" + host, Auth: k.auth}
	transport, err := transport.New(config, &transport.Options{StallTimeout: opts.StallTimeout})
	servers.Need(t, err)
	opts.Transport = transport
	c, err := remote.New(config, opts)
	servers.Need(t, err)
	return proxied{c, transport.CloseIdleConnections}
}
