package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// issuedTo is a certificate with the key that it is for.
type issuedTo struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// newKey is a key for a certificate.
func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// by has a certificate for key signed by an authority, or by itself for nil.
func by(t *testing.T, issuer *issuedTo, key *ecdsa.PrivateKey, name string, change func(*x509.Certificate)) *issuedTo {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "leaf" {
		c.DNSNames = []string{"git.example.com"}
	} else {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuedTo{made, key}
}

// A pinned authority stands for every chain that leads to it, whatever was shown
// when it was pinned, and for no other.
func TestPinHoldsForChains(t *testing.T) {
	t.Parallel()
	root, other := by(t, nil, newKey(t), "root", nil), by(t, nil, newKey(t), "another root", nil)
	double := by(t, nil, newKey(t), "root", nil) // of the same name
	between := by(t, root, newKey(t), "between", nil)
	crossed := by(t, other, between.key, "between", nil) // the same authority, by another
	renewed := by(t, root, between.key, "between", nil)
	stranger := by(t, other, newKey(t), "between", nil) // another one of that name
	leaf, below := by(t, root, newKey(t), "leaf", nil), by(t, between, newKey(t), "leaf", nil)
	reissued := by(t, between, newKey(t), "leaf", nil)
	expired := by(t, root, between.key, "between", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	noAuthority := by(t, root, newKey(t), "leaf", nil)
	for name, tc := range map[string]struct {
		pinned *issuedTo
		shown  []*issuedTo
		holds  bool
	}{
		"the leaf alone":                             {root, []*issuedTo{leaf}, true},
		"the leaf and the authority":                 {root, []*issuedTo{leaf, root}, true},
		"with an intermediate":                       {root, []*issuedTo{below, between}, true},
		"a leaf that was made anew":                  {root, []*issuedTo{reissued, between}, true},
		"an intermediate that was made anew":         {root, []*issuedTo{below, renewed}, true},
		"signed by two, both shown":                  {root, []*issuedTo{below, crossed, between}, true},
		"in another order, with one too many":        {root, []*issuedTo{below, other, stranger, between}, true},
		"the intermediate pinned, the leaf alone":    {between, []*issuedTo{below}, true},
		"the intermediate pinned, and made anew":     {between, []*issuedTo{reissued, renewed}, true},
		"the intermediate pinned, signed by another": {between, []*issuedTo{below, crossed}, true},
		"the leaf pinned":                            {leaf, []*issuedTo{leaf}, true},
		"the leaf pinned, and made anew":             {below, []*issuedTo{reissued, between}, false},
		"the intermediate is left out":               {root, []*issuedTo{below}, false},
		"signed by two, and the other alone shown":   {root, []*issuedTo{below, crossed}, false},
		"another authority":                          {other, []*issuedTo{below, between}, false},
		"another authority of the same name":         {double, []*issuedTo{below, between, root}, false},
		"an intermediate of the same name":           {root, []*issuedTo{below, stranger}, false},
		"an intermediate that has expired":           {root, []*issuedTo{below, expired}, false},
		"signed by what is no authority":             {root, []*issuedTo{by(t, noAuthority, newKey(t), "leaf", nil), noAuthority}, false},
		"for clients alone": {root, []*issuedTo{by(t, root, newKey(t), "leaf", func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})}, false},
		"for another host": {root, []*issuedTo{by(t, root, newKey(t), "leaf", func(c *x509.Certificate) { c.DNSNames = []string{"other.example.com"} })}, false},
	} {
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		usePin(config, "git.example.com", []*x509.Certificate{tc.pinned.Certificate})
		var shown []*x509.Certificate
		for _, c := range tc.shown {
			shown = append(shown, c.Certificate)
		}
		err := config.VerifyConnection(tls.ConnectionState{PeerCertificates: shown})
		if (err == nil) != tc.holds {
			t.Errorf("%s: got %v", name, err)
		}
		if _, named := errors.AsType[*registry.TLSError](err); err != nil && (!named || registry.Diagnose(err).Hint == "") {
			t.Errorf("%s: the failure has no name: %v", name, err)
		}
		// A file of authorities vouches for the same, beside the system's.
		config = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		config.RootCAs.AddCert(tc.pinned.Certificate)
		addSystem(config, "git.example.com")
		err = config.VerifyConnection(tls.ConnectionState{PeerCertificates: shown})
		if verification, is := errors.AsType[*tls.CertificateVerificationError](err); (err == nil) != tc.holds || !tc.holds && (!is || verification.UnverifiedCertificates[0] != shown[0]) {
			t.Errorf("%s: a file: got %v", name, err)
		}
	}
}

// What the system's authorities vouch for holds beside a file of others, and what is
// wrong with a certificate is told by those that know its authority.
func TestSystemsAuthoritiesCountBesideAFile(t *testing.T) {
	const asSystem = "TEST_CHAIN" // the process of its own reads its system's authorities
	if file := os.Getenv(asSystem); file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown, err := Parse(content)
		if err != nil {
			t.Fatal(err)
		}
		for host, wrong := range map[string]error{"git.example.com": nil, "other.example.com": x509.HostnameError{}} {
			config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
			config.RootCAs.AddCert(by(t, nil, newKey(t), "another root", nil).Certificate)
			addSystem(config, host)
			if err := config.VerifyConnection(tls.ConnectionState{PeerCertificates: shown}); reflect.TypeOf(errors.Unwrap(err)) != reflect.TypeOf(wrong) {
				t.Errorf("%s: got %v, want %T", host, err, wrong)
			}
		}
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere no variable says what the system's authorities are")
	}
	root := by(t, nil, newKey(t), "root", nil)
	dir := t.TempDir()
	for name, c := range map[string]*issuedTo{"system.pem": root, "shown.pem": by(t, root, newKey(t), "leaf", nil)} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), asSystem+"="+filepath.Join(dir, "shown.pem"), "SSL_CERT_FILE="+filepath.Join(dir, "system.pem"), "SSL_CERT_DIR="+t.TempDir())
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
