package remote

import (
	"net/http"
	"net/url"
)

// To is Go's transport for the origin of an address.
func (t *Transport) To(address string) (*http.Transport, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return t.to(u)
}

// SetProxy has requests go by way of a proxy.
func (t *Transport) SetProxy(proxy func(*http.Request) (*url.URL, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proxy, t.hosts = proxy, map[string]*http.Transport{}
}
