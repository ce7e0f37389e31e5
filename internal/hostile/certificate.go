package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"time"
)

// Certificate is for 127.0.0.1, and has the payload in each of its texts.
func Certificate(payload string) (tls.Certificate, error) {
	payload = strings.ToValidUTF8(payload, "?") // or there is no certificate
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	texts := []string{payload}
	name := pkix.Name{
		CommonName: payload, SerialNumber: payload, Organization: texts, OrganizationalUnit: texts, Country: texts, Locality: texts,
		Province: texts, StreetAddress: texts, PostalCode: texts,
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if isASCII(payload) { // as these have to be
		template.DNSNames, template.EmailAddresses = texts, texts
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 127 })
}
