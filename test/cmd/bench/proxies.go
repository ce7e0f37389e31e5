//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"

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

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
