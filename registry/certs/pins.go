package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

// A pinned certificate takes the place of the system's authorities for its host. So a
// certificate that only they vouch for is refused until the pin is removed. Pins are kept as HOST/pinned.pem in [TrustDir]. Docker ignores a
// file of that name in such a directory.
const pinnedFile = "pinned.pem"

// Pin is the certificates that are pinned for a host.
type Pin struct {
	Host         string
	Certificates []*x509.Certificate
}

// maxShown is how many certificates of a chain are looked at. Honest ones have
// up to four.
const maxShown = 10

// Authority is the certificate of chain that vouches for the others. It is the
// last with which the leaf, which is the first, can be verified, or else the
// leaf itself. Of a chain without end, Authority looks at the beginning.
func Authority(chain []*x509.Certificate) *x509.Certificate {
	leaf := chain[0]
	for i := min(len(chain), maxShown) - 1; i > 0; i-- {
		roots := x509.NewCertPool()
		roots.AddCert(chain[i])
		opts := x509.VerifyOptions{Roots: roots, Intermediates: pool(chain[1:i]), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
		if _, err := leaf.Verify(opts); err == nil {
			return chain[i]
		}
	}
	return leaf
}

// SavePin pins the certificates for host, and for no other name or port, in
// place of those pinned before.
func SavePin(host string, certificates []*x509.Certificate) error {
	dir, err := pinDir(host)
	if err != nil {
		return err
	}
	if err := ownfile.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("pin certificate: %w", err)
	}
	var content []byte
	for _, c := range certificates {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	if err := ownfile.Write(filepath.Join(dir, pinnedFile), content, 0o600); err != nil {
		return fmt.Errorf("pin certificate: %w", err)
	}
	return nil
}

// RemovePin removes the pin of host. If there is none, the error is
// [fs.ErrNotExist].
func RemovePin(host string) error {
	dir, err := pinDir(host)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, pinnedFile)); err != nil {
		return fmt.Errorf("remove pin: %w", err)
	}
	// Other files in the directory, such as a client certificate, stay.
	_ = os.Remove(dir)
	return nil
}

// Pins returns all pins that are kept, sorted by host.
func Pins() ([]Pin, error) {
	trusted, err := trustDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(trusted)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read pins: %w", err)
	}
	var pins []Pin
	for _, entry := range entries {
		certificates, err := readPin(filepath.Join(trusted, entry.Name()))
		if err != nil {
			return nil, err
		}
		if len(certificates) > 0 {
			pins = append(pins, Pin{Host: hostOfPin(entry.Name(), runtime.GOOS), Certificates: certificates})
		}
	}
	return pins, nil
}

// Parse reads the certificates of a PEM file and ignores what else is in it. If
// there is no certificate, that is an error.
func Parse(content []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return all, nil
}

func pinDir(host string) (string, error) {
	host, err := registry.NormalizeHost(host)
	if err != nil {
		return "", err
	}
	dir, err := trustDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, pinName(host, runtime.GOOS)), nil
}

// trustDir is [TrustDir], or why it is not known.
func trustDir() (string, error) {
	config, err := home.Config()
	if err != nil {
		return "", fmt.Errorf("find the pinned certificates: %w", err)
	}
	return filepath.Join(config, "docker-gitea", "certs.d"), nil
}

// pinName is the directory of host in [TrustDir]. Windows allows no colon. The
// character in its place is in no host's name, so two hosts never share a
// directory.
func pinName(host, system string) string {
	if system == windows {
		return strings.ReplaceAll(host, ":", "+")
	}
	return host
}

func hostOfPin(name, system string) string {
	if system == windows {
		return strings.ReplaceAll(name, "+", ":")
	}
	return name
}

// readPin reads the pin in dir, if there is one.
func readPin(dir string) ([]*x509.Certificate, error) {
	file := filepath.Join(dir, pinnedFile)
	content, err := ownfile.Read(file)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(file); err == nil {
			return nil, fmt.Errorf("read pin: %s is a link to nothing", file)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pin: %w", err)
	}
	certificates, err := Parse(content)
	if err != nil {
		return nil, fmt.Errorf("read pin %s: %w", file, err)
	}
	return certificates, nil
}

// usePin makes config, which is for host alone, accept what pinned and its own
// authorities vouch for. The verification is that of crypto/tls, but its error
// names what was pinned. It takes the place of the verification that config
// asks for.
func usePin(config *tls.Config, host string, pinned []*x509.Certificate) {
	for _, c := range pinned {
		config.RootCAs.AddCert(c)
	}
	config.InsecureSkipVerify = true // VerifyConnection does it
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verify(state, host, config.RootCAs); err != nil {
			return &registry.TLSError{Host: host, Certificates: state.PeerCertificates, Pinned: pinned, Err: err}
		}
		return nil
	}
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certificates {
		p.AddCert(c)
	}
	return p
}
