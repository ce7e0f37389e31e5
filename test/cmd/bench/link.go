//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// link is a way to the registry. The zero value is the loopback.
type link struct {
	// rate is bytes a second in each direction, for all connections together; 0
	// is no limit.
	rate      float64
	roundTrip time.Duration
	// cuts is how often all of its connections are lost; 0 is never.
	cuts time.Duration
	// drop is how long it has only droppedRate, from dropAfter on.
	drop time.Duration
}

// droppedRate is 1 Mbit/s, in bytes a second.
const droppedRate = 1e6 / 8

// dropAfter is when the rate drops: every blob that goes side by side is under way.
const dropAfter = 5 * time.Second

func megabits(n float64, roundTrip time.Duration) link {
	return link{rate: n * 1e6 / 8, roundTrip: roundTrip}
}

// String reads "100 Mbit/s, 20 ms".
func (l link) String() string {
	if l.rate == 0 {
		return fmt.Sprintf("%d ms round trip", l.roundTrip.Milliseconds())
	}
	name := fmt.Sprintf("%.0f Mbit/s, %d ms", l.rate*8/1e6, l.roundTrip.Milliseconds())
	if l.cuts > 0 {
		name += fmt.Sprintf(", connections lost every %.0f s", l.cuts.Seconds())
	}
	if l.drop > 0 {
		name += fmt.Sprintf(", 1 Mbit/s for %.0f s", l.drop.Seconds())
	}
	return name
}

// leastRoundTrips are those that a first push needs one after the other: for the
// connection, two for TLS 1.2, for the token, for the last blob, and for the
// manifest.
const leastRoundTrips = 6

// least is the time that a push of so many bytes takes if the link is never idle.
func (l link) least(sent int64) time.Duration {
	lost := time.Duration(float64(l.drop) * (1 - droppedRate/l.rate))
	return time.Duration(float64(sent)/l.rate*float64(time.Second)) + leastRoundTrips*l.roundTrip + lost
}

// road passes connections on as a link does.
type road struct {
	listener net.Listener
	upstream string
	up, down lane
	mu       sync.Mutex // guards the fields below
	link     link
	conns    map[net.Conn]struct{} // those of the programs
}

// sent is how many bytes have gone to the registry.
func (r *road) sent() int64 {
	r.up.mu.Lock()
	defer r.up.mu.Unlock()
	return r.up.passed
}

// lane is one direction of a road; all connections share it.
type lane struct {
	// mu guards the fields below.
	mu     sync.Mutex
	free   time.Time // when it has passed on what it was given
	passed int64     // bytes
}

// startRoad puts a road in front of s, whose address becomes its own. It is the
// loopback until be is called.
func startRoad(ctx context.Context, s *servers.Server) (*road, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	r := &road{listener: listener, upstream: s.Host, conns: map[net.Conn]struct{}{}}
	s.Host = "localhost:" + portOf(listener)
	s.URL = "https://" + s.Host
	go r.serve(ctx)
	return r, nil
}

func (r *road) close() error { return r.listener.Close() }

// be makes it the link l from now on, until ctx ends.
func (r *road) be(ctx context.Context, l link) {
	r.set(l)
	if l.cuts > 0 {
		go r.cut(ctx, l.cuts)
	}
	if l.drop > 0 {
		go r.dip(ctx, l)
	}
}

// cut loses all connections again and again.
func (r *road) cut(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		for conn := range r.conns {
			_ = conn.Close()
		}
		r.mu.Unlock()
	}
}

// dip has the link be slow for a while.
func (r *road) dip(ctx context.Context, l link) {
	slow := l
	slow.rate = droppedRate
	for _, next := range []struct {
		after time.Duration
		link  link
	}{{dropAfter, slow}, {l.drop, l}} {
		select {
		case <-time.After(next.after):
		case <-ctx.Done():
			return
		}
		r.set(next.link)
	}
}

func (r *road) set(l link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = l
}

func (r *road) is() link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func (r *road) serve(ctx context.Context) {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		go r.pass(ctx, conn)
	}
}

func (r *road) pass(ctx context.Context, from net.Conn) {
	l := r.is()
	// A connection takes a round trip to be made.
	<-time.After(l.roundTrip)
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.upstream)
	if err != nil {
		_ = from.Close()
		return
	}
	r.mu.Lock()
	r.conns[from] = struct{}{}
	r.mu.Unlock()
	go r.copy(to, from, &r.up)
	r.copy(from, to, &r.down)
	r.mu.Lock()
	delete(r.conns, from)
	r.mu.Unlock()
}

const (
	// packet is read at once, so that connections take turns.
	packet = 16 << 10
	// inFlight bounds the packets of one connection that are under way. The memory of this
	// program counts for those that it starts.
	inFlight = 128
	// queued is how much a connection may have waiting for the lane, as in a router:
	// the lane does not stand still when this program wakes up late.
	queued = 20 * time.Millisecond
)

// copy keeps the order of what it passes on. It reads hardly quicker than the lane
// passes on, so that a sender notices.
func (r *road) copy(to, from net.Conn, lane *lane) {
	type part struct {
		due  time.Time
		data []byte
	}
	parts := make(chan part, inFlight)
	go func() {
		defer close(parts)
		for {
			buffer := make([]byte, packet)
			n, err := from.Read(buffer)
			if n > 0 {
				l := r.is()
				sent := lane.take(n, l.rate)
				<-time.After(time.Until(sent.Add(-queued)))
				parts <- part{sent.Add(l.roundTrip / 2), buffer[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	var failed error
	for p := range parts {
		<-time.After(time.Until(p.due))
		if failed == nil {
			_, failed = to.Write(p.data)
		}
	}
	if half, ok := to.(*net.TCPConn); ok && failed == nil {
		failed = half.CloseWrite()
	}
	if failed != nil {
		_ = errors.Join(to.Close(), from.Close())
	}
}

// take is when the lane has passed on n more bytes.
func (l *lane) take(n int, rate float64) time.Time {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.passed += int64(n)
	if rate == 0 {
		return now
	}
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return l.free
}
