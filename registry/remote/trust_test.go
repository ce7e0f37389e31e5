package remote_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func certificates(t *testing.T, a *registrytest.Authority) []*x509.Certificate {
	t.Helper()
	all, err := certs.Parse(a.PEM())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ownTrustDir makes [registry.TrustDir] one of the test's own.
func ownTrustDir(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(t.TempDir(), "config"))
}

// pinned is a client that knows nothing but the pins.
func pinned(t *testing.T, address string) *remote.Client {
	t.Helper()
	c, err := remote.New(registry.RegistryConfig{URL: address, CertDirs: []string{certs.TrustDir()}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPin(t *testing.T) {
	ownTrustDir(t)
	srv := registrytest.Start(t, registrytest.Config{})
	chain, err := pinned(t, srv.URL).Certificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		pin  []*x509.Certificate
		want string // the cause; empty for success
	}{
		{"nothing", nil, "is signed by an authority that this machine does not know"},
		{"the authority", certificates(t, srv.Authority), ""},
		{"the certificate itself", chain[:1], ""},
		{"another authority", certificates(t, other), "has changed: pinned is SHA-256 " + registry.Fingerprint(certificates(t, other)[0]) + ", shown was"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.pin != nil {
				if err := certs.SavePin(srv.URL, tc.pin); err != nil {
					t.Fatal(err)
				}
			}
			got := registry.Diagnose(pinned(t, srv.URL).Health(t.Context())).Cause
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	pins, err := certs.Pins()
	if err != nil || len(pins) != 1 || pins[0].Host != srv.Host {
		t.Errorf("got %+v, %v", pins, err)
	}
	if err := certs.RemovePin(srv.Host); err != nil {
		t.Error(err)
	}
	if err := certs.RemovePin(srv.Host); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	if left, err := os.ReadDir(certs.TrustDir()); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// The system's authorities take long to read: they are only where they are needed.
func TestWhoseAuthorities(t *testing.T) {
	ownTrustDir(t)
	own, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.SavePin("pinned.example.com", certificates(t, own)); err != nil {
		t.Fatal(err)
	}
	alone := x509.NewCertPool()
	alone.AppendCertsFromPEM(own.PEM())
	for name, tc := range map[string]struct {
		config registry.RegistryConfig
		want   *x509.CertPool // nil: the system's
	}{
		"the system's":          {registry.RegistryConfig{URL: "other.example.com"}, nil},
		"one's own beside them": {registry.RegistryConfig{URL: "other.example.com", CAData: string(own.PEM())}, alone},
		"a pin in their place":  {registry.RegistryConfig{URL: "pinned.example.com"}, alone},
	} {
		if got, err := certs.TLSConfig(tc.config); err != nil || !got.RootCAs.Equal(tc.want) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestPinStillVerifiesNamesAndDates(t *testing.T) {
	ownTrustDir(t)
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, tc := range []struct {
		name     string
		from, to time.Time
		host     string
		want     string
	}{
		{"another name", now.Add(-time.Hour), now.Add(time.Hour), "git.example.com", "the certificate is for other names: git.example.com"},
		{"an expired one", now.Add(-2 * time.Hour), now.Add(-time.Hour), "127.0.0.1", "the certificate is valid from "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pair, err := authority.Issue(tc.from, tc.to, tc.host)
			if err != nil {
				t.Fatal(err)
			}
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			srv.StartTLS()
			t.Cleanup(srv.Close)
			if err := certs.SavePin(srv.URL, certificates(t, authority)); err != nil {
				t.Fatal(err)
			}
			if cause := registry.Diagnose(pinned(t, srv.URL).Health(t.Context())).Cause; !strings.Contains(cause, tc.want) {
				t.Errorf("got %q, want %q", cause, tc.want)
			}
		})
	}
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "localhost")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	root, unrelated := certificates(t, authority)[0], certificates(t, stranger)[0]
	for _, tc := range []struct {
		name  string
		chain []*x509.Certificate
		want  *x509.Certificate
	}{
		{"with its authority", []*x509.Certificate{leaf, root}, root},
		{"alone", []*x509.Certificate{leaf}, leaf},
		{"with one that did not sign it", []*x509.Certificate{leaf, unrelated}, leaf},
		{"with both", []*x509.Certificate{leaf, root, unrelated}, root},
	} {
		if got := certs.Authority(tc.chain); got != tc.want {
			t.Errorf("%s: got %s", tc.name, got.Subject)
		}
	}
}
