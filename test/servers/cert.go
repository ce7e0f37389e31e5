package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// localNames are the names under which a server on loopback is reached.
var localNames = []string{"localhost", "127.0.0.1", "::1", "gitea.localtest.me"}

// certificate is a key pair written to files.
type certificate struct {
	certFile, keyFile string
}

// issue writes an authority to dir/ca.pem and to dir a certificate that it
// signed for names, followed in its file by the authority. A Gitea's own
// certificate (`gitea cert --ca`) is its own authority; this is the other kind,
// as a company's private authority issues it.
func issue(dir string, names ...string) (certificate, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, fmt.Errorf("generate authority key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, fmt.Errorf("generate certificate key: %w", err)
	}
	ca := unsigned(1, "Test authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return certificate{}, fmt.Errorf("create authority: %w", err)
	}
	leaf := unsigned(2, names[0])
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return certificate{}, fmt.Errorf("create certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, fmt.Errorf("encode certificate key: %w", err)
	}
	c := certificate{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	caPEM, leafPEM := encode("CERTIFICATE", caDER), encode("CERTIFICATE", leafDER)
	return c, errors.Join(
		os.WriteFile(filepath.Join(dir, "ca.pem"), caPEM, 0o600),
		os.WriteFile(c.certFile, append(leafPEM, caPEM...), 0o600),
		os.WriteFile(c.keyFile, encode("PRIVATE KEY", keyDER), 0o600),
	)
}

func unsigned(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
