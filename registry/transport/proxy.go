package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

// errProxyAddress is why a variable of the environment is of no use. Its value
// may hold a password and is not shown.
var errProxyAddress = errors.New("its value is not the address of a proxy")

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

// tunnel knows whether a connection through a proxy is being asked for, which
// net/http does not tell of a failure. It travels in the request's context.
type tunnel struct{ asked atomic.Bool }

type tunnelKey struct{}

// tunnelAsked is what net/http calls before it asks a proxy for a connection.
func tunnelAsked(ctx context.Context, _ *url.URL, _ string) (http.Header, error) {
	if t, ok := ctx.Value(tunnelKey{}).(*tunnel); ok {
		t.asked.Store(true)
	}
	return nil, nil //nolint:nilnil // it adds no header
}

// failure is what a failure of req is: that of the proxy, if it came while the
// proxy was asked.
func (t *tunnel) failure(req *http.Request, err error) error {
	_, known := errors.AsType[*registry.ProxyError](err)
	proxy, proxyErr := proxyOf(req)
	if err == nil || known || !t.asked.Load() || req.Context().Err() != nil || proxyErr != nil || proxy == nil {
		return err
	}
	return &registry.ProxyError{
		Host: endpoint.Canonical(req.URL), Variable: proxyVariable(req.URL.Scheme), Proxy: proxy.Host, Err: fmt.Errorf("%w: %w", registry.ErrNoProxy, withoutAnswer(err)),
	}
}
