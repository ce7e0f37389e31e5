package registry

import (
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// The last gates hold where the ones before them let something pass.
func TestLastGates(t *testing.T) {
	t.Parallel()
	const payload = "pwn$(id);\x1b[2J"
	unknown := x509.UnknownAuthorityError{Cert: &x509.Certificate{}}
	for name, err := range map[string]error{
		"a certificate's host":  &TLSError{Host: payload, Err: unknown},
		"an address":            &Error{URL: "https://pwn$(id)/v2/pwn$(id)/app/", Status: http.StatusUnauthorized, Kind: ErrUnauthorized},
		"an owner":              &Error{URL: "https://git.example.com/v2/pwn$(id)/app/", Status: http.StatusForbidden, Kind: ErrQuota},
		"a host on the way":     &UnreachableError{payload, syscall.ECONNREFUSED},
		"the text of a failure": &UnreachableError{"git.example.com", errors.New(payload)},
		"a proxy":               &ProxyError{Host: payload, Variable: "HTTPS_PROXY", Proxy: payload, Status: http.StatusProxyAuthRequired},
	} {
		if hint := Diagnose(err).Hint; strings.Contains(hint, "pwn") {
			t.Errorf("%s: got the hint %q", name, hint)
		}
		if way, ok := err.(*UnreachableError); ok && way.Error() != Printable(way.Error()) { //nolint:errorlint // of this very type
			t.Errorf("%s: got %q", name, err)
		}
	}
}
