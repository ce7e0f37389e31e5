package interfere

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The faults of a [Cutter], which knows nothing but bytes.
const (
	// Reset resets the one connection; what was on its way is lost.
	Reset Fault = "reset"
	// Close ends the one connection as a server does that goes away.
	Close Fault = "close"
	// AnswerAndClose answers 503 in the registry's place, then closes.
	AnswerAndClose Fault = "503 and close"
	// Outage resets this connection and every later one.
	Outage Fault = "outage"
	// Drop resets each connection once so many bytes have passed on it.
	Drop Fault = "drop after N bytes"
	// Stall lets nothing more pass on the one connection, and keeps it.
	Stall Fault = "stall"
	// Delay makes a pause on the one connection.
	Delay Fault = "delay"
	// Cancel cancels the push, and lets everything pass.
	Cancel Fault = "cancelled"
)

// byteFaults are those with which pushes are swept.
var byteFaults = []Fault{Reset, Close, AnswerAndClose, Outage, Drop, Stall, Delay, Cancel}

// delay is how long a [Delay] lasts.
const delay = 50 * time.Millisecond

// Cutter is a TCP proxy that interferes once, at a given byte of everything
// that passes in both directions.
type Cutter struct {
	host     string
	upstream string
	listener net.Listener
	pipes    sync.WaitGroup
	// Strike is called, once, by faults that are not of the connection: Cancel
	// and those of the caller. It is set before Arm.
	Strike func()

	// mu guards the fields below.
	mu      sync.Mutex
	at      int64 // the byte; negative means never
	kind    Fault
	passed  int64
	done    bool          // the fault is there
	rearmed chan struct{} // ends what stalls
}

// StartCutter returns a cutter in front of upstream, a host and port. It lets
// everything pass until [Cutter.Arm], and ends with the test.
func StartCutter(t *testing.T, upstream string) *Cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	c := &Cutter{host: l.Addr().String(), upstream: upstream, listener: l, at: -1, rearmed: make(chan struct{})}
	c.pipes.Go(c.accept)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		c.Disarm()
		c.pipes.Wait()
	})
	return c
}

// Address is where clients find it.
func (c *Cutter) Address() string { return c.host }

// Place goes through the bytes evenly, and through the faults in turn.
func (c *Cutter) Place(i, n int, total int64) (int64, Fault) {
	return total * int64(i) / int64(n), byteFaults[i%len(byteFaults)]
}

// Arm has the next bytes counted from 0, and the one at position at met with kind.
func (c *Cutter) Arm(at int64, kind Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.rearmed)
	c.rearmed = make(chan struct{})
	c.at, c.kind, c.passed, c.done = at, kind, 0, false
}

// Disarm lets everything pass from now on.
func (c *Cutter) Disarm() { c.Arm(-1, "") }

// Count says how many bytes passed since [Cutter.Arm], and whether the fault came.
func (c *Cutter) Count() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed, c.done
}

func (c *Cutter) accept() {
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

// pipe is one connection through a [Cutter].
type pipe struct {
	cutter   *Cutter
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
func (p *pipe) take(n int64) (allowed int64, kind Fault) {
	c := p.cutter
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.passed
	if c.kind == Drop {
		before = p.passed
	}
	switch {
	case c.done && c.kind == Outage:
		return 0, Outage
	case c.at < 0, c.done && c.kind != Drop, before+n <= c.at:
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
func (p *pipe) meet(kind Fault) bool {
	p.cutter.mu.Lock()
	rearmed, strike := p.cutter.rearmed, p.cutter.Strike
	p.cutter.mu.Unlock()
	switch kind {
	case Delay:
		select {
		case <-time.After(delay):
		case <-rearmed:
		}
		return true
	case Stall:
		<-rearmed
		reset(p.down)
		reset(p.up)
	case AnswerAndClose:
		_, _ = io.WriteString(p.down, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	case Reset, Outage, Drop:
		reset(p.down)
		reset(p.up)
	case Close: // which the caller does
	default:
		strike()
		return true
	}
	return false
}

// reset closes without the usual farewell.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
