package check

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// trace sees how a request finds its way.
type trace struct {
	// mu guards the fields below: addresses are tried side by side.
	mu        sync.Mutex
	addresses []string
	remote    string
}

// attach makes requests with the context tell t about themselves.
func (t *trace) attach(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSDone: func(info httptrace.DNSDoneInfo) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.addresses = nil
			for _, a := range info.Addrs {
				t.addresses = append(t.addresses, a.String())
			}
		},
		ConnectDone: func(_, address string, err error) {
			if err == nil {
				t.connected(address)
			}
		},
		GotConn: func(info httptrace.GotConnInfo) { t.connected(info.Conn.RemoteAddr().String()) },
	})
}

func (t *trace) connected(address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remote = address
}

// checks are the stations of the request up to the one where it failed with
// err, or to its answer; err may also be what is wrong with the answer.
func (t *trace) checks(resp *http.Response, err error) []registry.Check {
	t.mu.Lock()
	defer t.mu.Unlock()
	var checks []registry.Check
	if len(t.addresses) > 0 {
		checks = append(checks, registry.Passed("name", strings.Join(t.addresses, ", ")))
	}
	if t.remote != "" {
		checks = append(checks, registry.Passed("connection", t.remote))
	}
	if resp != nil && resp.TLS != nil {
		checks = append(checks, registry.Passed("certificate", registry.DescribeCertificate(resp.TLS.PeerCertificates[0])+", "+tls.VersionName(resp.TLS.Version)))
	}
	if err != nil {
		return append(checks, registry.Failed(t.station(resp, err), err))
	}
	return append(checks, registry.Passed("registry", "answers at "+printable.Bare(resp.Request.URL)))
}

// station is where a request failed.
func (t *trace) station(resp *http.Response, err error) string {
	_, dns := errors.AsType[*net.DNSError](err)
	switch {
	case resp != nil:
		return "registry"
	case dns:
		return "name"
	case registry.IsTLS(err):
		return "certificate"
	case t.remote == "":
		return "connection"
	}
	return "registry"
}
