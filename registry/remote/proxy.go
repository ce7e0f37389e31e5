package remote

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// errProxyAddress is why a variable of the environment is of no use. Its value
// may hold a password and is not shown.
var errProxyAddress = errors.New("its value is no address of a proxy")

// proxyOf is the proxy of the environment for a request. (net/http never takes
// one for this machine itself.)
func proxyOf(req *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(req)
	// What net/http cannot parse, it takes for a host.
	if err != nil || proxy != nil && strings.HasPrefix(proxy.Path, "//") {
		return nil, &registry.ProxyError{Host: req.URL.Host, Variable: proxyVariable(req.URL.Scheme), Err: errProxyAddress}
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
	return &registry.ProxyError{Host: endpoint.Canonical(&url.URL{Scheme: "https", Host: connect.Host}), Variable: proxyVariable("https"), Proxy: proxy.Host, Status: answer.StatusCode}
}

// asProxyError gives a failure the form of a [*registry.ProxyError] when it is that of
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
	e := &registry.ProxyError{Host: endpoint.Canonical(req.URL), Variable: proxyVariable(req.URL.Scheme), Proxy: proxy.Host}
	if refused {
		e.Status = resp.StatusCode
		response.Drain(resp)
		return e
	}
	e.Err = dial.Err
	return e
}
