package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
)

// Temporary reports whether what failed may succeed later, as it is: the network
// failed, or the server said that it did. Both may be those of the source.
func Temporary(err error) bool {
	if missing, ok := errors.AsType[*MissingError](err); ok {
		err = missing.Err
	}
	var (
		answer *Error
		proxy  *ProxyError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrRedirected):
		return false
	case errors.As(err, &proxy) && proxy.Status != 0:
		return TemporaryStatus(proxy.Status)
	case errors.As(err, &answer):
		return answer.Is(ErrBusy) || TemporaryStatus(answer.Status) && !answer.Is(ErrQuota)
	case IsTLS(err):
		return false
	}
	return isNetwork(err)
}

// speaksPlainHTTP reports that the answer to a TLS handshake was plain HTTP.
func speaksPlainHTTP(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/" ||
		strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// refusals are the alerts that end a handshake for good (RFC 8446 section 6.2). A server
// sends the others when something was damaged on the way.
var refusals = []tls.AlertError{
	40,  // handshake failure
	42,  // bad certificate
	43,  // unsupported certificate
	44,  // certificate revoked
	45,  // certificate expired
	46,  // certificate unknown
	48,  // unknown authority
	49,  // access denied
	70,  // protocol version
	71,  // insufficient security
	112, // unrecognized name
	116, // certificate required
}

// refusedHandshake reports one of those, which crypto/tls does not export.
func refusedHandshake(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && slices.ContainsFunc(refusals, func(a tls.AlertError) bool { return a.Error() == op.Err.Error() })
}

// IsTLS reports whether trying again cannot help because the handshake failed
// for a lasting reason.
func IsTLS(err error) bool {
	var (
		known        *TLSError
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return speaksPlainHTTP(err) || errors.As(err, &known) || errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		refusedHandshake(err) || errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		strings.HasPrefix(err.Error(), "tls: ") // crypto/tls does not export these: certificates too large, or malformed
}

// TemporaryStatus reports the answers after which another try makes sense.
func TemporaryStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, fronts.StatusClientClosed, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		520, 521, 522, 523, fronts.StatusCloudflareTimeout: // Cloudflare: the origin is unreachable or slow
		return true
	}
	return false
}

// isNetwork reports a failure of a connection.
func isNetwork(err error) bool {
	var (
		network net.Error
		name    *net.DNSError
		number  syscall.Errno
		file    *fs.PathError
	)
	switch {
	case errors.As(err, &file):
		return false // its number would pass for a network's
	case errors.As(err, &name) && name.IsNotFound:
		return false // a name that does not exist will not come to
	case errors.Is(err, ErrStalled), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return true
	case errors.As(err, &network):
		return true
	case errors.As(err, &number):
		return number == syscall.ECONNRESET || number == syscall.EPIPE || number == syscall.ECONNREFUSED || number == syscall.ECONNABORTED
	}
	// net/http does not export these.
	text := err.Error()
	return strings.Contains(text, "http: server closed idle connection") || strings.Contains(text, "malformed HTTP") ||
		strings.Contains(text, "transport connection broken") || // within a header
		strings.Contains(text, "http: ContentLength=")
}

// ErrSource marks a failure to read what is being sent, whatever it is read from.
var ErrSource = errors.New("read source")
