package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
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
	}
}
