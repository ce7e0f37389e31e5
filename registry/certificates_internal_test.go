package registry

import (
	"crypto/x509"
	"testing"
)

// FuzzCertificateText takes anything for the certificate that a server shows:
// what is said of it is fit for a terminal.
func FuzzCertificateText(f *testing.F) {
	f.Add("git.example.com", "Our authority", "a.example.com")
	f.Add("\x1b]0;evil\a", "\u202e", "\x00\n")
	f.Fuzz(func(t *testing.T, subject, issuer, name string) {
		c := &x509.Certificate{DNSNames: []string{name, subject}}
		c.Subject.CommonName, c.Issuer.CommonName = subject, issuer
		for _, text := range []string{DescribeCertificate(c), names(c), dates(c)} {
			if text != Printable(text) {
				t.Errorf("got %q, which a terminal would obey", text)
			}
		}
	})
}
