//go:build e2e

package test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The faults of a [cutter], which knows nothing but bytes.
const (
	// faultReset resets the one connection; what was on its way is lost.
	faultReset fault = "reset"
	// faultClose ends the one connection as a server does that goes away.
	faultClose fault = "close"
	// faultAnswer answers 503 in the registry's place, then closes.
	faultAnswer fault = "503 and close"
	// faultOutage resets this connection and every later one.
	faultOutage fault = "outage"
	// faultDrop resets each connection once so many bytes have passed on it.
	faultDrop fault = "drop after N bytes"
	// faultStall lets nothing more pass on the one connection, and keeps it.
	faultStall fault = "stall"
	// faultDelay makes a pause on the one connection.
	faultDelay fault = "delay"
	// faultCancel cancels the push, and lets everything pass.
	faultCancel fault = "cancelled"
)

// byteFaults are those with which pushes are swept.
var byteFaults = []fault{faultReset, faultClose, faultAnswer, faultOutage, faultDrop, faultStall, faultDelay, faultCancel}

// delay is how long a [faultDelay] lasts.
const delay = 50 * time.Millisecond

// cutter is a TCP proxy that interferes once, at a given byte of everything
// that passes in both directions.
type cutter struct {
	host     string
	upstream string
	listener net.Listener
	pipes    sync.WaitGroup
	// strike is called, once, by faults that are not of the connection; it is
	// set before arm.
	strike func()

	// mu guards the fields below.
	mu      sync.Mutex
	at      int64 // the byte; negative means never
	kind    fault
	passed  int64
	done    bool          // the fault is there
	rearmed chan struct{} // ends what stalls
}

func startCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	c := &cutter{host: l.Addr().String(), upstream: upstream, listener: l, at: -1, rearmed: make(chan struct{})}
	c.pipes.Go(c.accept)
	t.Cleanup(func() {
		stop(t, l.Close)
		c.disarm()
		c.pipes.Wait()
	})
	return c
}

func (c *cutter) address() string { return c.host }

// place goes through the bytes evenly, and through the faults in turn.
func (c *cutter) place(i, n int, total int64) (int64, fault) {
	return total * int64(i) / int64(n), byteFaults[i%len(byteFaults)]
}

// arm has the next bytes counted from 0, and the one at position at met with kind.
func (c *cutter) arm(at int64, kind fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.rearmed)
	c.rearmed = make(chan struct{})
	c.at, c.kind, c.passed, c.done = at, kind, 0, false
}

func (c *cutter) disarm() { c.arm(-1, "") }

// count says how many bytes passed since [cutter.arm], and whether the fault came.
func (c *cutter) count() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed, c.done
}

func (c *cutter) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		down := conn.(*net.TCPConn)
		up, err := net.Dial("tcp", c.upstream)
		if err != nil {
			reset(down)
			continue
		}
		c.pipes.Go(func() { (&pipe{cutter: c, down: down, up: up.(*net.TCPConn)}).pass() })
	}
}

// pipe is one connection through a [cutter].
type pipe struct {
	cutter   *cutter
	down, up *net.TCPConn
	// passed counts the bytes in both directions; the cutter's mu guards it.
	passed int64
}

// pass copies both ways until either side ends.
func (p *pipe) pass() {
	var both sync.WaitGroup
	both.Go(func() { p.copy(p.up, p.down) })
	both.Go(func() { p.copy(p.down, p.up) })
	both.Wait()
}

func (p *pipe) copy(to io.Writer, from io.Reader) {
	defer p.down.Close()
	defer p.up.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		allowed, kind := p.take(int64(n))
		if _, writeErr := to.Write(buffer[:allowed]); writeErr != nil {
			return
		}
		if kind != "" && !p.meet(kind) {
			return
		}
		if _, writeErr := to.Write(buffer[allowed:n]); writeErr != nil || err != nil {
			return
		}
	}
}

// take counts n bytes and says how many of them may pass before a fault, and
// which.
func (p *pipe) take(n int64) (allowed int64, kind fault) {
	c := p.cutter
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.passed
	if c.kind == faultDrop {
		before = p.passed
	}
	switch {
	case c.done && c.kind == faultOutage:
		return 0, faultOutage
	case c.at < 0, c.done && c.kind != faultDrop, before+n <= c.at:
		c.passed += n
		p.passed += n
		return n, ""
	}
	allowed = max(c.at-before, 0)
	c.passed += allowed
	p.passed += allowed
	c.done = true
	return allowed, c.kind
}

// meet does what kind says, and reports whether the connection goes on.
func (p *pipe) meet(kind fault) bool {
	p.cutter.mu.Lock()
	rearmed, strike := p.cutter.rearmed, p.cutter.strike
	p.cutter.mu.Unlock()
	switch kind {
	case faultCancel, faultKill, faultInterrupt, faultRestart, faultGone:
		strike()
		return true
	case faultDelay:
		select {
		case <-time.After(delay):
		case <-rearmed:
		}
		return true
	case faultStall:
		<-rearmed
		reset(p.down)
		reset(p.up)
	case faultAnswer:
		_, _ = io.WriteString(p.down, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	case faultReset, faultOutage, faultDrop:
		reset(p.down)
		reset(p.up)
	default: // faultClose, which the caller does
	}
	return false
}

// reset closes without the usual farewell.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
