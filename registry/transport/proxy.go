package transport

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
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
