// Package transport makes the connections to a registry and to the hosts that it leads
// to: with the TLS settings of each host, through the proxy of the environment, and with
// an end to every silence.
//
// # Where to begin
//
// [New] returns a [Transport] for the registry of a configuration. It is an
// [http.RoundTripper]: give it to an [http.Client]. It adds no credential and tries
// nothing again.
//
// # Errors
//
// A certificate that is not accepted fails with a [*registry.TLSError], and a connection
// on which nothing moves with [registry.ErrStalled]. Whatever went wrong, [Unreached]
// puts it into the form that [registry.Diagnose] explains, for the failures of other
// transports too.
// [AnswerError] does so for an answer that is no success, and [RegistryError] for an
// answer at /v2/.
//
// # Concurrency
//
// A Transport is safe for concurrent use. Share it: it holds the connections.
//
// # Other packages
//
// Package remote is a whole client with tokens, retries and uploads, and builds its
// transport itself. Package certs has the TLS settings alone.
//
// # How the files fit together
//
//   - transport.go: a transport for each host
//   - proxy.go: the proxy of this machine
//   - stall.go: connections on which nothing moves
//   - failure.go: what went wrong, in the terms of package registry
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Defaults of [Options].
const (
	// DefaultConnectTimeout bounds name resolution, connecting and the TLS
	// handshake together.
	DefaultConnectTimeout = 30 * time.Second
	// DefaultStallTimeout is how long a connection may be silent in both
	// directions. It is long because Gitea copies a blob into its store after
	// the last byte, before it answers.
	DefaultStallTimeout = 5 * time.Minute
)

// Options are the options of [New]. The zero value means the
// defaults.
type Options struct {
	// ConnectTimeout and StallTimeout default to [DefaultConnectTimeout] and
	// [DefaultStallTimeout].
	ConnectTimeout, StallTimeout time.Duration
	// Proxy gives the proxy for a request, as [http.Transport.Proxy] does. Nil
	// means that of the environment.
	Proxy func(*http.Request) (*url.URL, error)
}

// Transport performs requests with the TLS settings of the host that each goes
// to: those of its [registry.RegistryConfig] to the registry, and to every other host,
// which a redirect may lead to or which is a proxy, those that this machine has
// for that one. It is safe for concurrent use.
type Transport struct {
	config         registry.RegistryConfig
	connect, stall time.Duration
	proxy          func(*http.Request) (*url.URL, error)

	// mu guards hosts, which has one transport for each origin, so that no
	// connection and no TLS session of one is used for another.
	mu    sync.Mutex
	hosts map[string]*http.Transport
}

// New returns a transport for the registry of config, with the proxy
// of the environment, and with connections that fail with [registry.ErrStalled] when
// nothing moves in either direction for too long. opts may be nil.
func New(config registry.RegistryConfig, opts *Options) (*Transport, error) {
	t := &Transport{config: config, connect: DefaultConnectTimeout, stall: DefaultStallTimeout, proxy: proxyOf, hosts: map[string]*http.Transport{}}
	if opts != nil {
		if opts.ConnectTimeout > 0 {
			t.connect = opts.ConnectTimeout
		}
		if opts.StallTimeout > 0 {
			t.stall = opts.StallTimeout
		}
		if opts.Proxy != nil {
			t.proxy = opts.Proxy
		}
	}
	e, err := endpoint.Parse(config.URL)
	if err != nil {
		return nil, err
	}
	// What is wrong with the settings is told before anything is sent.
	if _, err := t.to(&url.URL{Scheme: e.Scheme, Host: e.Host}); err != nil {
		return nil, err
	}
	return t, nil
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	host, err := t.to(req.URL)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	asked := new(tunnel)
	resp, err := host.RoundTrip(req.WithContext(context.WithValue(req.Context(), tunnelKey{}, asked)))
	return resp, asked.failure(req, err)
}

// To is Go's transport for the origin of an address, for those who change one of
// its settings before it is first used.
func (t *Transport) To(address string) (*http.Transport, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return t.to(u)
}

// Ahead begins n connections to the origin of an address, for requests that will follow
// side by side. It waits for none of them. A failure is not told: the requests meet it too.
//
// Source: net/http, Transport.getConn: a connection that was begun is made even if its
// request is canceled, because a future request may be able to use it.
func (t *Transport) Ahead(address string, n int) {
	for range n {
		ctx, cancel := context.WithCancel(context.Background())
		trace := &httptrace.ClientTrace{
			DNSStart:     func(httptrace.DNSStartInfo) { cancel() },
			ConnectStart: func(string, string) { cancel() },
		}
		req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodHead, address, nil)
		if err != nil {
			cancel()
			return
		}
		go func() {
			defer cancel()
			if resp, err := t.RoundTrip(req); err == nil { // another request had left a connection
				_ = resp.Body.Close()
			}
		}()
	}
}

// CloseIdleConnections closes the connections that are not in use.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, host := range t.hosts {
		host.CloseIdleConnections()
	}
}

// to is the transport for the origin of u.
func (t *Transport) to(u *url.URL) (*http.Transport, error) {
	host, ok := endpoint.Host(u)
	if !ok {
		return nil, fmt.Errorf("%w: %q is no host", registry.ErrRedirected, printable.Clean(u.Host))
	}
	origin := &url.URL{Scheme: u.Scheme, Host: host}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.hosts[origin.String()]; known != nil {
		return known, nil
	}
	settings, err := certs.TLSConfig(forHost(t.config, origin))
	if err != nil {
		return nil, err
	}
	made := t.transport(settings)
	proxy, err := t.proxy(&http.Request{URL: origin})
	if err == nil && proxy != nil && proxy.Scheme == "https" {
		made.DialTLSContext, err = t.dialProxy(proxy)
	}
	if err != nil {
		return nil, err
	}
	t.hosts[origin.String()] = made
	return made, nil
}

// forHost is the configuration for the origin of another address than c's own:
// every setting of c is for its own host, and leaves it never. What other hosts
// have in the directories of certificates is theirs.
func forHost(c registry.RegistryConfig, origin *url.URL) registry.RegistryConfig {
	if e, err := endpoint.Parse(c.URL); err == nil && e.Owns(origin) {
		return c
	}
	return registry.RegistryConfig{URL: origin.String(), CertDirs: c.CertDirs}
}

// dialProxy connects to a proxy that speaks TLS. It is a host of its own: what
// the user says of the registry's certificate is not said of the proxy's.
func (t *Transport) dialProxy(proxy *url.URL) (func(context.Context, string, string) (net.Conn, error), error) {
	host, ok := endpoint.Host(proxy)
	if !ok {
		return nil, &registry.ProxyError{Variable: proxyVariable("https"), Err: errProxyAddress}
	}
	settings, err := certs.TLSConfig(forHost(t.config, &url.URL{Scheme: "https", Host: host}))
	if err != nil {
		return nil, err
	}
	settings.ServerName = proxy.Hostname()
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := t.connection(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, t.connect)
		defer cancel()
		secured := tls.Client(conn, settings)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close() // the handshake's error says more
			return nil, asTLSError(host, err)
		}
		return secured, nil
	}, nil
}

// connection is one with stall detection.
func (t *Transport) connection(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: t.connect, KeepAlive: 30 * time.Second}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		// The error of package net passes for the end of a context, which is that
		// of the whole push.
		if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Timeout() && ctx.Err() == nil {
			dial.Err = os.ErrDeadlineExceeded
		}
		return nil, err
	}
	asked, _ := ctx.Value(tunnelKey{}).(*tunnel)
	return &stallConn{Conn: conn, limit: t.stall, tunnel: asked, connect: t.connect}, nil
}

// transport is Go's, for one host.
func (t *Transport) transport(settings *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  t.proxy,
		GetProxyConnectHeader:  tunnelAsked,
		OnProxyConnectResponse: tunnelRefused,
		DialContext:            t.connection,
		TLSClientConfig:        settings,
		TLSHandshakeTimeout:    t.connect,
		// Blob uploads wait this long for "100 Continue" before they send the
		// body all the same, as RFC 9110 section 10.1.1 asks for.
		ExpectContinueTimeout:  2 * time.Second,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		// A trickled header never counts as a stall, so its time is bounded.
		ResponseHeaderTimeout: t.stall + headerTime,
		// No layer of a registry is ever sent compressed a second time.
		DisableCompression: true,
		WriteBufferSize:    64 << 10,
		ReadBufferSize:     16 << 10,
		// HTTP/1.1 gives each upload a connection and a TCP window of its own;
		// in HTTP/2 all of them share one flow-control window (golang/go#47840).
		Protocols: onlyHTTP1(),
	}
}

// headerTime is how long the header of an answer may take from its first byte
// on. A server may be silent before that as long as the connection may.
const headerTime = 30 * time.Second

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}
