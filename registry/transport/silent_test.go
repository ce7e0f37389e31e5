package transport_test

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// silent is a proxy that says nothing. It is one for all runs of a test, as net/http
// reads the environment once.
var silent = sync.OnceValues(func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })

// A proxy that says nothing when it is asked for a connection is given up like a
// server that is being connected to, and named.
func TestSilentProxyIsGivenUp(t *testing.T) {
	listener, err := silent()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HTTPS_PROXY", "http://"+listener.Addr().String())
	way, err := transport.New(registry.RegistryConfig{URL: "https://git.behind.invalid"}, &transport.Options{ConnectTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://git.behind.invalid/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := way.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("it answered")
	}
	proxy, ok := errors.AsType[*registry.ProxyError](err)
	if !ok || proxy.Proxy != listener.Addr().String() || !errors.Is(err, registry.ErrStalled) {
		t.Errorf("got %v, want a proxy that is silent", err)
	}
}
