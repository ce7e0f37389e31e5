package credhelper

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// httpClient returns a client for a host, with the trust that the user gave
// it, and for no other: pages that are elsewhere get what the configuration
// says of that host. It follows no redirect.
func (h *helper) httpClient(host string, s settings) *http.Client {
	return &http.Client{
		Transport:     &hostTransport{helper: h, host: host, settings: s, known: map[string]*transport.Transport{}},
		Timeout:       requestTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// hostTransport sends each request with the trust that its host has.
type hostTransport struct {
	*helper
	// host is what the settings are for.
	host     string
	settings settings

	mu sync.Mutex // guards known
	// known are the transports by origin.
	known map[string]*transport.Transport
}

// RoundTrip implements [http.RoundTripper].
func (t *hostTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	own, err := t.to(req.URL)
	if err != nil {
		if req.Body != nil {
			err = errors.Join(err, req.Body.Close())
		}
		return nil, err
	}
	_, given, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	t.hide(registry.NewSecret(given)) // which a server may send back
	done := t.waiting(req.URL.Host)
	resp, err := own.RoundTrip(req)
	done()
	if err := transport.Unreached(req, resp, err); err != nil {
		return nil, err
	}
	return resp, nil
}

// CloseIdleConnections is what [http.Client] calls.
func (t *hostTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, transport := range t.known {
		transport.CloseIdleConnections()
	}
}

// to returns the transport for the origin of an address. What is weak about the
// way there is said once.
func (t *hostTransport) to(u *url.URL) (*transport.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	origin := u.Scheme + "://" + u.Host
	if transport, exists := t.known[origin]; exists {
		return transport, nil
	}
	s, err := t.bound(origin, t.host, t.settings)
	if err != nil {
		return nil, err
	}
	if err := checkSecure(origin, isOn(s.PlainHTTP)); err != nil {
		return nil, err
	}
	transport, err := transport.New(registry.RegistryConfig{
		URL:      origin,
		CAFiles:  s.CAFiles,
		Insecure: isOn(s.Insecure),
		CertDirs: certs.DefaultDirs(t.Getenv("DOCKER_CONFIG")),
	}, &transport.Options{ConnectTimeout: connectTimeout, StallTimeout: requestTimeout})
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "http" && !isLoopback(u.Host):
		fmt.Fprintf(t.Stderr, "warning: what is sent to %s can be read by anyone on the way\n", u.Host)
	case u.Scheme == "https" && isOn(s.Insecure):
		fmt.Fprintf(t.Stderr, "warning: the certificate of %s is not verified\n", u.Host)
	}
	t.known[origin] = transport
	return transport, nil
}

// checkSecure refuses an address that a secret would travel to in the clear,
// unless it is on this machine or the user allows it.
func checkSecure(address string, plainHTTP bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		if at := strings.LastIndex(address, "@"); at >= 0 { // a password may stand before it
			address = "[redacted]" + address[at:]
		}
		return fmt.Errorf("%.200q is not the address of a server", address)
	}
	if u.Scheme == "https" || plainHTTP || isLoopback(u.Host) {
		return nil
	}
	return advice.Give(fmt.Errorf("%s is plain http, where anyone on the way can read the password", u.Host),
		"use https, or accept that with --plain-http")
}

// isLoopback reports whether a host, with its port or without, is this machine.
func isLoopback(host string) bool {
	u := url.URL{Host: host}
	return net.ParseIP(u.Hostname()).IsLoopback() || u.Hostname() == "localhost"
}
