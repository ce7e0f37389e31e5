//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// counter is a reverse proxy that counts.
type counter struct {
	server   *http.Server
	requests atomic.Int64
	sent     atomic.Int64
}

// startCounter puts a counter in front of s, whose address becomes its own.
func startCounter(ctx context.Context, s *servers.Server) (*counter, error) {
	upstream, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(s.CAFile, filepath.Join(s.Dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	s.Host = "localhost:" + portOf(listener)
	s.URL = "https://" + s.Host
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(upstream); r.Out.Host = r.In.Host; r.SetXForwarded() },
		Transport: s.Client().Transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	c := &counter{}
	c.server = &http.Server{
		ErrorLog:  proxy.ErrorLog,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			c.requests.Add(1)
			req.Body = &countedBody{req.Body, &c.sent}
			proxy.ServeHTTP(w, req)
		}),
	}
	go func() { _ = c.server.ServeTLS(listener, "", "") }() // it ends with close
	return c, nil
}

func (c *counter) reset() {
	if c != nil {
		c.requests.Store(0)
		c.sent.Store(0)
	}
}

func (c *counter) counts() (requests int, sent int64) {
	if c == nil {
		return 0, 0
	}
	return int(c.requests.Load()), c.sent.Load()
}

func (c *counter) close() error { return c.server.Close() }

type countedBody struct {
	io.ReadCloser
	sent *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.Add(int64(n))
	return n, err
}

// delay passes connections on, each byte half a round trip late.
type delay struct {
	listener net.Listener
	upstream string
	half     atomic.Int64 // nanoseconds
}

// startDelay puts a delay in front of s, whose address becomes its own.
func startDelay(ctx context.Context, s *servers.Server) (*delay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	d := &delay{listener: listener, upstream: s.Host}
	s.Host = "localhost:" + portOf(listener)
	s.URL = "https://" + s.Host
	go d.serve(ctx)
	return d, nil
}

func (d *delay) close() error { return d.listener.Close() }

func (d *delay) serve(ctx context.Context) {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return // closed
		}
		go d.pass(ctx, conn)
	}
}

func (d *delay) pass(ctx context.Context, down net.Conn) {
	// A connection takes a round trip to be made.
	<-time.After(time.Duration(2 * d.half.Load()))
	up, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.upstream)
	if err != nil {
		_ = down.Close()
		return
	}
	go d.copy(up, down)
	d.copy(down, up)
}

// inFlight is how many reads may be on their way in one direction.
const inFlight = 1024

// copy keeps the order and the pace of what it passes on.
func (d *delay) copy(to, from net.Conn) {
	type part struct {
		due  time.Time
		data []byte
	}
	parts := make(chan part, inFlight)
	go func() {
		defer close(parts)
		for {
			buffer := make([]byte, 32<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				parts <- part{time.Now().Add(time.Duration(d.half.Load())), buffer[:n]}
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

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
