package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

// ProxyError is a failure of the proxy that the environment of this machine
// names for requests: the registry was not reached. It tells no credential.
type ProxyError struct {
	// Host is the registry's.
	Host string
	// Variable is "HTTPS_PROXY" or "HTTP_PROXY", after the request's scheme;
	// the same in lower case counts as well.
	Variable string
	// Proxy is the proxy's host and port; empty where the variable has none.
	Proxy string
	// Status is the proxy's answer, 0 without one.
	Status int
	// Err is the cause, nil where the proxy answered.
	Err error
}

// Error reads "proxy proxy.example.com:3128 of HTTPS_PROXY: 403 Forbidden".
func (e *ProxyError) Error() string {
	switch {
	case e.Proxy == "":
		return fmt.Sprintf("proxy of %s: %v", e.Variable, e.Err)
	case e.Status != 0:
		return fmt.Sprintf("proxy %s of %s: %d %s", e.Proxy, e.Variable, e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("proxy %s of %s: %v", e.Proxy, e.Variable, e.Err)
}

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.Err }

// errProxyAddress is why a variable of the environment is of no use. Its value
// may hold a password and is not shown.
var errProxyAddress = errors.New("its value is no address of a proxy")

// proxyOf is the proxy of the environment for a request. (net/http never takes
// one for this machine itself.)
func proxyOf(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	// What net/http cannot parse, it takes for a host.
	if err != nil || proxy != nil && strings.HasPrefix(proxy.Path, "//") {
		return nil, &ProxyError{Host: req.URL.Host, Variable: proxyVariable(req.URL.Scheme), Err: errProxyAddress}
	}
	return proxy, nil
}

func proxyVariable(scheme string) string {
	if scheme == "https" {
		return "HTTPS_PROXY"
	}
	return "HTTP_PROXY"
}

// tunnelRefused makes an error of a proxy's answer that lets nothing through.
func tunnelRefused(_ context.Context, proxy *url.URL, connect *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{Host: endpoint.Canonical(&url.URL{Scheme: "https", Host: connect.Host}), Variable: proxyVariable("https"), Proxy: proxy.Host, Status: answer.StatusCode}
}

// asProxyError gives a failure the form of a [*ProxyError] when it is that of
// the proxy of the environment: it cannot be reached, or wants a credential.
func asProxyError(req *http.Request, resp *http.Response, err error) error {
	dial, dialing := errors.AsType[*net.OpError](err)
	dialing = dialing && dial.Op == "proxyconnect"
	refused := err == nil && resp.StatusCode == http.StatusProxyAuthRequired
	if !dialing && !refused {
		return err
	}
	proxy, proxyErr := proxyOf(req)
	if proxyErr != nil || proxy == nil {
		return err // of a transport with a proxy of its own
	}
	e := &ProxyError{Host: endpoint.Canonical(req.URL), Variable: proxyVariable(req.URL.Scheme), Proxy: proxy.Host}
	if refused {
		e.Status = resp.StatusCode
		drain(resp)
		return e
	}
	e.Err = dial.Err
	return e
}
