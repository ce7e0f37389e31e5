package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// DescribeCertificate is a certificate in a line.
func DescribeCertificate(c *x509.Certificate) string {
	if c == nil {
		return "unknown"
	}
	return fmt.Sprintf("issuer %q, for %s, valid %s to %s, SHA-256 %s", printable.Clean(c.Issuer.String()), names(c), c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), Fingerprint(c))
}

// Fingerprint is the SHA-256 of a certificate, in lower-case hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	if c == nil {
		return "unknown"
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func names(c *x509.Certificate) string {
	if c == nil || len(c.DNSNames)+len(c.IPAddresses) == 0 {
		return "no name"
	}
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return printable.Clean(strings.Join(all, ", "))
}

func dates(c *x509.Certificate) string {
	if c == nil {
		return "other dates"
	}
	return c.NotBefore.UTC().Format(time.DateTime) + " to " + c.NotAfter.UTC().Format(time.DateTime) + " UTC"
}

func isAuthority(f failure) bool {
	_, ok := errors.AsType[x509.UnknownAuthorityError](f.error)
	return ok
}

func isHostname(f failure) bool {
	_, ok := errors.AsType[x509.HostnameError](f.error)
	return ok
}

// weakCertificate reports a certificate that no authority vouches for because
// of how it is signed. Go tells so in words alone.
func weakCertificate(f failure) bool {
	if strings.Contains(f.Error(), "keys are insecure") {
		return true
	}
	return isAuthority(f) && f.tls != nil && slices.ContainsFunc(f.tls.Certificates, func(c *x509.Certificate) bool {
		switch c.SignatureAlgorithm { //nolint:exhaustive // these are the weak ones
		case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
			return !bytes.Equal(c.RawIssuer, c.RawSubject) // what signs itself proves nothing anyway
		}
		return false
	})
}

// unshown is the authority that signed what the server shows, where it shows
// neither that authority's certificate nor one that signed itself: the chain ends
// before an authority that anybody could have chosen to trust.
func (f failure) unshown() string {
	c := f.chainEnd()
	if c == nil {
		return ""
	}
	return strconv.Quote(printable.Clean(c.Issuer.String()))
}

// maxChain is how many certificates of a chain are looked at. Honest ones have
// up to four.
const maxChain = 10

// chainEnd is the last certificate of the chain that the server shows, in
// whatever order, where somebody else signed it; otherwise nil.
func (f failure) chainEnd() *x509.Certificate {
	if f.tls == nil || len(f.tls.Certificates) == 0 {
		return nil
	}
	c := f.tls.Certificates[0]
	for range maxChain {
		if bytes.Equal(c.RawIssuer, c.RawSubject) {
			return nil
		}
		next := slices.IndexFunc(f.tls.Certificates, func(above *x509.Certificate) bool { return bytes.Equal(above.RawSubject, c.RawIssuer) })
		if next < 0 {
			return c
		}
		c = f.tls.Certificates[next]
	}
	return nil
}

// isUnfinished reports a chain with a gap below the authority that is pinned, or
// that this machine knows: nothing shows that another one signed it.
func isUnfinished(f failure) bool {
	end := f.chainEnd()
	return isAuthority(f) && end != nil && !slices.ContainsFunc(f.tls.Pinned, func(p *x509.Certificate) bool {
		return bytes.Equal(p.RawSubject, end.RawIssuer) || !p.IsCA // of the same name, and not the same; or no authority
	})
}

// lacksNames reports a certificate with its name in the place where nobody has
// looked since 2020 (golang/go#39568, RFC 6125).
func lacksNames(f failure) bool {
	return isHostname(f) && len(f.cert.DNSNames)+len(f.cert.IPAddresses) == 0 && f.cert.Subject.CommonName != ""
}

// address is the IP address that the certificate has as a name, which is no
// address of it; empty where there is none.
func (f failure) address() string {
	hostname, ok := errors.AsType[x509.HostnameError](f.error)
	if !ok || net.ParseIP(hostname.Host) == nil || !slices.Contains(hostname.Certificate.DNSNames, hostname.Host) {
		return ""
	}
	return hostname.Host
}

func commonName(c *x509.Certificate) string {
	if c == nil {
		return ""
	}
	return printable.Clean(c.Subject.CommonName)
}
