package transport

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// stallConn fails when nothing is read or written for limit. Each write also
// moves the read deadline, since a reader waits all through an upload.
type stallConn struct {
	net.Conn
	limit time.Duration
	// While a proxy is asked for a connection (tunnel), it may be silent no longer
	// than connect, as one that is being connected to.
	tunnel  *tunnel
	connect time.Duration
}

func (c *stallConn) deadline() time.Time {
	limit := c.limit
	if c.tunnel != nil && c.tunnel.asked.Load() {
		limit = min(limit, c.connect)
	}
	return time.Now().Add(limit)
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	return n, stalled(err)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(c.deadline()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, stalled(err)
}

func stalled(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", registry.ErrStalled, err)
	}
	return err
}
