// Package endpoint knows where a registry is. It has the scheme and the host of its
// address, in one form so that two addresses can be compared, and says which other
// addresses are the registry's own. It asks nobody; names of repositories are not
// its business.
//
// It takes addresses and gives an [Endpoint]; beside the standard library it uses
// package printable alone. endpoint.go is all of it.
package endpoint

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Endpoint is the origin of a registry.
type Endpoint struct {
	Scheme string // "https" or "http"
	Host   string // normalised, as [Host] gives it
	Chosen bool   // the scheme was given, not assumed
}

// Parse parses an address with or without a scheme; https is assumed.
func Parse(address string) (Endpoint, error) {
	fail := func(fault string) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("registry address %q: %s", printable.Clip(stripUserinfo(address)), fault)
	}
	if address == "" {
		return fail("is empty")
	}
	if printable.HasControl(address) || strings.ContainsAny(address, " \t\\") {
		return fail("has control characters or spaces")
	}
	full := address
	if !strings.Contains(full, "://") {
		full = "https://" + strings.TrimPrefix(full, "//")
	}
	u, err := url.Parse(full)
	if err != nil {
		return fail("is malformed")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return fail("has a scheme other than https and http")
	}
	if u.User != nil {
		return fail("holds a user name or password")
	}
	host, ok := Host(u)
	if !ok {
		return fail("names no valid host")
	}
	return Endpoint{Scheme: u.Scheme, Host: host, Chosen: strings.Contains(address, "://")}, nil
}

// stripUserinfo keeps a password in an address out of messages.
func stripUserinfo(address string) string {
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return "[redacted]" + address[i:]
	}
	return address
}

// Loopback reports whether the host is this machine, where Docker too allows
// plain HTTP unasked.
func (e Endpoint) Loopback() bool {
	u := url.URL{Host: e.Host}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is the address of a path of e.
func (e Endpoint) URL(path string) string { return e.Scheme + "://" + e.Host + path }

// Owns reports whether u is of the same origin as e. A name with a dot at its
// end may be resolved in another way than the same name without.
func (e Endpoint) Owns(u *url.URL) bool {
	return u.Scheme == e.Scheme && !strings.HasSuffix(u.Hostname(), ".") && Canonical(u) == e.Host
}

// OwnsUpload reports whether location is an upload of the registry's own, as
// against one of a storage service that it led to.
func (e Endpoint) OwnsUpload(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.User == nil && e.Owns(u) && len(u.Path) > len("/v2/") && u.Path[:len("/v2/")] == "/v2/"
}

// OfRegistry reports whether u, of the registry's origin, is of the registry
// itself, however a server reads dots in paths.
func OfRegistry(u *url.URL) bool {
	return strings.HasPrefix(path.Clean(u.Path)+"/", "/v2/") && !strings.Contains(u.Path, `\`)
}

// Host joins the parts of u's host in their one form.
func Host(u *url.URL) (string, bool) {
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip := net.ParseIP(name); ip != nil {
		if name = ip.String(); ip.To4() == nil {
			name = "[" + name + "]"
		}
	} else if !hostPattern().MatchString(name) || len(name) > 253 {
		return "", false
	}
	switch port := u.Port(); {
	case port == "" && !strings.HasSuffix(u.Host, ":"), port == "443" && u.Scheme == "https", port == "80" && u.Scheme == "http":
		return name, true
	case port == "" || strings.TrimLeft(port, "0") != port:
		return "", false
	default:
		_, err := strconv.ParseUint(port, 10, 16)
		return name + ":" + port, err == nil
	}
}

var hostPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$`)
})

// Canonical is [Host], empty where u has no valid one.
func Canonical(u *url.URL) string {
	host, _ := Host(u)
	return host
}
