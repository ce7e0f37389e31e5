//go:build e2e

package test

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// cut is what a [cutter] does when its byte has come.
type cut int

const (
	// cutReset resets the one connection; what was on its way is lost.
	cutReset cut = iota
	// cutClose ends the one connection as a server does that goes away.
	cutClose
	// cutAnswer answers 503 in the registry's place, then closes.
	cutAnswer
	// cutOutage resets this connection and every later one.
	cutOutage
	cuts
)

func (c cut) String() string {
	return [...]string{"reset", "close", "503", "outage"}[c]
}

// cutter is a TCP proxy that interferes once, at a given byte of everything
// that passes in both directions.
type cutter struct {
	Host string

	upstream string
	listener net.Listener
	pipes    sync.WaitGroup

	// mu guards the fields below.
	mu     sync.Mutex
	at     int64 // the byte; negative means never
	kind   cut
	passed int64
	done   bool // the cut is made
}

func startCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servers.Need(t, err)
	c := &cutter{Host: l.Addr().String(), upstream: upstream, listener: l, at: -1}
	c.pipes.Go(c.accept)
	t.Cleanup(func() {
		stop(t, l.Close)
		c.pipes.Wait()
	})
	return c
}

// arm has the next bytes counted from 0, and the one at position at cut.
func (c *cutter) arm(at int64, kind cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.kind, c.passed, c.done = at, kind, 0, false
}

// count says how many bytes passed since [cutter.arm], and whether the cut was made.
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
		c.pipes.Go(func() { c.pass(down, up.(*net.TCPConn)) })
	}
}

// pass copies both ways until either side ends.
func (c *cutter) pass(down, up *net.TCPConn) {
	var both sync.WaitGroup
	both.Go(func() { c.copy(up, down, down, up) })
	both.Go(func() { c.copy(down, up, down, up) })
	both.Wait()
}

func (c *cutter) copy(to io.Writer, from io.Reader, down, up *net.TCPConn) {
	defer down.Close()
	defer up.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		allowed, cutNow := c.take(int64(n))
		if _, writeErr := to.Write(buffer[:allowed]); writeErr != nil {
			return
		}
		if cutNow {
			c.end(down, up)
			return
		}
		if err != nil {
			return
		}
	}
}

// take counts n bytes and says how many of them may pass before the cut.
func (c *cutter) take(n int64) (allowed int64, cutNow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.done && c.kind == cutOutage:
		return 0, true
	case c.at < 0 || c.done || c.passed+n <= c.at:
		c.passed += n
		return n, false
	}
	allowed = c.at - c.passed
	c.passed, c.done = c.at, true
	return allowed, true
}

func (c *cutter) end(down, up *net.TCPConn) {
	switch c.kind {
	case cutAnswer:
		_, _ = io.WriteString(down, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	case cutReset, cutOutage:
		reset(down)
		reset(up)
	case cutClose, cuts:
	}
}

// reset closes without the usual farewell.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
