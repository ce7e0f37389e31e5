package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// tunnelRefused makes an error of a proxy's answer that lets nothing through.
func tunnelRefused(ctx context.Context, proxy *url.URL, connect *http.Request, answer *http.Response) error {
	if t, ok := ctx.Value(tunnelKey{}).(*tunnel); ok {
		t.asked.Store(false)
	}
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

// asTLSError gives err the form of a [*registry.TLSError] when it is about
// certificates or the TLS handshake.
func asTLSError(host string, err error) error {
	var known *registry.TLSError
	if err == nil || errors.As(err, &known) || !registry.IsTLS(err) {
		return err
	}
	result := &registry.TLSError{Host: host, Err: err}
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		result.Certificates = verification.UnverifiedCertificates
		result.Err = verification.Err
	}
	return result
}

// Unreached is the failure of a request that the other side did not answer, in the
// form that [registry.Diagnose] knows: a failure on the way there, of its certificate,
// or of the proxy of this machine, which may have answered in its place. It is nil if
// the other side has answered.
func Unreached(req *http.Request, resp *http.Response, err error) error {
	if err = asProxyError(req, resp, withoutAnswer(endlessHeader(err))); err == nil {
		return nil
	}
	host := endpoint.Canonical(req.URL)
	return &registry.UnreachableError{Host: host, Err: asTLSError(host, err)}
}

// endlessHeader makes the transport's giving up one of a connection. It passes
// for the end of a context otherwise, and has no type of its own.
func endlessHeader(err error) error {
	if err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") {
		return err
	}
	return fmt.Errorf("%w: the header of the answer does not end", registry.ErrStalled)
}

// withoutAnswer leaves out of an error what net/http quotes of an answer that it
// cannot read: that may be the address of an upload, which is a secret. These
// errors have no types.
func withoutAnswer(err error) error {
	if err == nil || !strings.Contains(err.Error(), "malformed ") && !strings.Contains(err.Error(), "transport connection broken") {
		return err
	}
	if before, _, quotes := strings.Cut(err.Error(), `"`); quotes {
		return errors.New(strings.TrimRight(before, ": "))
	}
	return err
}

// AnswerError makes an [*registry.Error] of an answer that is no success, or none
// that the registry or Gitea would give. It reads a bounded part of the body and
// leaves closing it to the caller.
func AnswerError(op string, resp *http.Response) *registry.Error {
	return response.Error(op, resp.Request, resp)
}

// RegistryError is nil when the answer to a request for /v2/ is that of a registry
// which lets the client in. It is a [registry.ErrUnauthorized] of one that wants a
// credential.
func RegistryError(resp *http.Response) error { return response.OfRegistry(resp) }
