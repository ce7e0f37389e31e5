package remote_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// stranger is a server that notes who gets as far as a request, and with what.
type stranger struct {
	*httptest.Server
	authority *registrytest.Authority

	// mu guards the fields below.
	mu    sync.Mutex
	seen  []*http.Request
	shown []string // client certificates
}

// startStranger starts a server with a certificate for names of an authority
// of its own.
func startStranger(t *testing.T, handler http.HandlerFunc, names ...string) *stranger {
	t.Helper()
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), names...)
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{authority: authority}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, req.Clone(req.Context()))
		if req.TLS != nil {
			for _, c := range req.TLS.PeerCertificates {
				s.shown = append(s.shown, c.Subject.CommonName)
			}
		}
		s.mu.Unlock()
		handler(w, req)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// reached is what was asked of the server, and which certificates it was shown.
func (s *stranger) reached() ([]*http.Request, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.shown
}

// at is the server's address by another name of this machine.
func (s *stranger) at(host string) string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return "https://" + net.JoinHostPort(host, port)
}

// clientPair writes a client certificate and its key.
func clientPair(t *testing.T) (cert, key string) {
	t.Helper()
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "alice")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	if err := errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func answerRegistry(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	_, _ = io.WriteString(w, "{}")
}

// The settings of a registry are for its own host and port. Wherever its
// answers lead, and whatever stands in between, is met with the settings of its
// own: the system's authorities, its own pin, its own directory in certs.d.
func TestSettingsStayAtTheirHost(t *testing.T) {
	ownTrustDir(t)
	cert, key := clientPair(t)
	for _, tc := range []struct {
		name string
		// config has what is set for the registry; of says what there is for
		// the other host.
		config func(other *stranger) registry.RegistryConfig
		of     func(t *testing.T, other *stranger, host string)
		pinned bool // the registry
		want   bool // the other is reached
	}{
		{"insecure", func(*stranger) registry.RegistryConfig { return registry.RegistryConfig{Insecure: true} }, nil, false, false},
		{"the authority of the other in caData", func(o *stranger) registry.RegistryConfig {
			return registry.RegistryConfig{Insecure: true, CAData: string(o.authority.PEM())}
		}, nil, false, false},
		{"… in a file", func(o *stranger) registry.RegistryConfig {
			file := filepath.Join(t.TempDir(), "ca.pem")
			if err := o.authority.WriteFile(file); err != nil {
				t.Fatal(err)
			}
			return registry.RegistryConfig{Insecure: true, CAFiles: []string{file}}
		}, nil, false, false},
		{
			"a pin of the other's own", func(*stranger) registry.RegistryConfig { return registry.RegistryConfig{Insecure: true} },
			func(t *testing.T, o *stranger, host string) {
				t.Helper()
				if err := certs.SavePin(host, certificates(t, o.authority)); err != nil {
					t.Fatal(err)
				}
			}, false, true,
		},
		{"a pin of the registry", func(*stranger) registry.RegistryConfig { return registry.RegistryConfig{} }, nil, true, false},
		{
			"pins of both", func(*stranger) registry.RegistryConfig { return registry.RegistryConfig{} },
			func(t *testing.T, o *stranger, host string) {
				t.Helper()
				if err := certs.SavePin(host, certificates(t, o.authority)); err != nil {
					t.Fatal(err)
				}
			}, true, true,
		},
	} {
		for _, name := range []string{"127.0.0.1", "localhost"} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				ownTrustDir(t)
				other := startStranger(t, answerRegistry, "127.0.0.1", "localhost")
				own := startStranger(t, func(w http.ResponseWriter, req *http.Request) {
					http.Redirect(w, req, other.at(name)+"/elsewhere", http.StatusTemporaryRedirect)
				}, "localhost")
				if tc.of != nil {
					tc.of(t, other, other.at(name))
				}
				if tc.pinned {
					if err := certs.SavePin(own.at("localhost"), certificates(t, own.authority)); err != nil {
						t.Fatal(err)
					}
				}
				config := tc.config(other)
				config.URL, config.CertFile, config.KeyFile = own.at("localhost"), cert, key
				config.CertDirs = []string{certs.TrustDir()}
				c, err := remote.New(config, &remote.Options{Retries: -1})
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Tags(t.Context(), "me/app")
				seen, shown := other.reached()
				if got := len(seen) > 0; got != tc.want {
					t.Errorf("reached: %v, want %v (%v)", got, tc.want, err)
				}
				if len(shown) > 0 {
					t.Errorf("the other host was shown %q", shown)
				}
				if _, shown := own.reached(); len(shown) == 0 {
					t.Error("the registry was not shown the client certificate")
				}
				tlsError, ok := errors.AsType[*registry.TLSError](err)
				if !tc.want && (!ok || "https://"+tlsError.Host != other.at(name)) {
					t.Errorf("got %v, want a failure of the other host", err)
				}
			})
		}
	}
}

// An upload may be led elsewhere by its Location.
func TestSettingsStayWhereUploadsGo(t *testing.T) {
	t.Parallel()
	other := startStranger(t, answerRegistry, "127.0.0.1")
	own := startStranger(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if req.Method == http.MethodPost {
			w.Header().Set("Location", other.URL+"/upload")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}, "127.0.0.1")
	c, err := remote.New(registry.RegistryConfig{URL: own.URL, CertDirs: []string{}}, &remote.Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = push(t, c, writeLayout(t, make([]byte, 5<<20)), registry.PushOptions{Insecure: true, ChunkSize: 1 << 20})
	if _, ok := errors.AsType[*registry.TLSError](err); !ok {
		t.Errorf("got %v, want a failure of the certificate", err)
	}
	if seen, _ := other.reached(); len(seen) > 0 {
		t.Errorf("the other host was reached: %s %s", seen[0].Method, seen[0].URL)
	}
}

// A proxy that speaks TLS is another host.
func TestSettingsStayBehindProxies(t *testing.T) {
	ownTrustDir(t)
	cert, key := clientPair(t)
	own := startStranger(t, answerRegistry, "127.0.0.1")
	proxy := startStranger(t, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(http.StatusOK)
		conn, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		registryConn, err := net.Dial("tcp", req.Host)
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _, _ = io.Copy(registryConn, read); _ = registryConn.Close() }() // the server may have read a byte already
		_, _ = io.Copy(conn, registryConn)
		_ = conn.Close()
	}, "localhost")
	address, err := url.Parse(proxy.at("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pinned := range []bool{false, true} {
		if pinned {
			if err := certs.SavePin(proxy.at("localhost"), certificates(t, proxy.authority)); err != nil {
				t.Fatal(err)
			}
		}
		config := registry.RegistryConfig{URL: own.URL, Insecure: true, CertFile: cert, KeyFile: key, CertDirs: []string{certs.TrustDir()}}
		transport, err := transport.New(config, &transport.Options{Proxy: func(*http.Request) (*url.URL, error) { return address, nil }})
		if err != nil {
			t.Fatal(err)
		}
		c, err := remote.New(config, &remote.Options{Transport: transport, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		err = c.Health(t.Context())
		seen, shown := proxy.reached()
		if (err == nil) != pinned || (len(seen) > 0) != pinned || len(shown) > 0 {
			t.Errorf("pinned %v: got %v; the proxy was asked %d times and shown %q", pinned, err, len(seen), shown)
		}
		if hint := registry.Diagnose(err).Hint; !pinned && !strings.Contains(hint, "docker gitea trust "+address.Host+" ") {
			t.Errorf("got the hint %q", hint)
		}
		transport.CloseIdleConnections()
	}
}

// What is pinned is the only thing that is accepted, or nothing is: a pin that
// cannot be found is not one that is not there.
func TestPinsFailClosed(t *testing.T) {
	authority, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	srv := registrytest.Start(t, registrytest.Config{})
	for _, tc := range []struct {
		name   string
		config registry.RegistryConfig
		change func(t *testing.T)
	}{
		{"as it is", registry.RegistryConfig{}, func(*testing.T) {}},
		{"insecure", registry.RegistryConfig{Insecure: true}, func(*testing.T) {}},
		{"its authority is given beside it, by the system", registry.RegistryConfig{}, func(t *testing.T) {
			t.Helper()
			t.Setenv("SSL_CERT_FILE", srv.CAFile)
		}},
		{"a relative XDG_CONFIG_HOME", registry.RegistryConfig{Insecure: true}, func(t *testing.T) {
			t.Helper()
			t.Setenv("XDG_CONFIG_HOME", "config")
		}},
		{"a relative HOME", registry.RegistryConfig{Insecure: true}, func(t *testing.T) {
			t.Helper()
			t.Setenv("XDG_CONFIG_HOME", "")
			t.Setenv("HOME", "home")
		}},
		{"a pin that is empty", registry.RegistryConfig{Insecure: true}, func(t *testing.T) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(certs.TrustDir(), srv.Host, "pinned.pem"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"a link to nothing", registry.RegistryConfig{Insecure: true}, func(t *testing.T) {
			t.Helper()
			file := filepath.Join(certs.TrustDir(), srv.Host, "pinned.pem")
			if err := errors.Join(os.Remove(file), os.Symlink(file+".gone", file)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ownTrustDir(t)
			if err := certs.SavePin(srv.Host, certificates(t, authority)); err != nil {
				t.Fatal(err)
			}
			tc.change(t)
			tc.config.URL, tc.config.CertDirs = srv.URL, certs.DefaultDirs("")
			c, err := remote.New(tc.config, &remote.Options{Retries: -1})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Health(t.Context()); err == nil {
				t.Error("another certificate than the pinned one was accepted")
			}
			tc.config.CertDirs = nil
			if c, err = remote.New(tc.config, &remote.Options{Retries: -1}); err != nil {
				t.Fatal(err)
			}
			if err := c.Health(t.Context()); err == nil {
				t.Error("another certificate than the pinned one was accepted, by default")
			}
			if pins, err := certs.Pins(); err == nil && len(pins) == 0 {
				t.Error("the pins seem to be none")
			}
		})
	}
}

// Without HOME the pins are where the user database has the home.
func TestPinsAreFoundWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	if dir := certs.TrustDir(); dir != "" && !filepath.IsAbs(dir) {
		t.Errorf("got %q, a directory of the working directory", dir)
	}
}

// The certificates that a server shows are those of a pinned one as well.
func TestCertificatesOfAPinnedHost(t *testing.T) {
	ownTrustDir(t)
	srv := registrytest.Start(t, registrytest.Config{})
	other, err := registrytest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.SavePin(srv.Host, certificates(t, other)); err != nil {
		t.Fatal(err)
	}
	if chain, err := pinned(t, srv.URL).Certificates(t.Context()); err != nil || len(chain) == 0 {
		t.Errorf("got %v, %v", chain, err)
	}
}
