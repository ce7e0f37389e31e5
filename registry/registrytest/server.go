package registrytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Server is a [Registry] that listens on a port of the loopback interface,
// over TLS with a certificate of its own [Authority].
type Server struct {
	*Registry

	// URL is "https://127.0.0.1:PORT", and Host the same without the scheme.
	URL, Host string
	// Authority issued the server's certificate; CAFile is its PEM file.
	Authority *Authority
	CAFile    string

	server *httptest.Server
	// stop ends the context of all requests.
	stop context.CancelFunc
}

// Start starts a server for the length of a test.
func Start(tb testing.TB, config Config) *Server {
	tb.Helper()
	s, err := Listen(tb.TempDir(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// StartPlain starts a server without TLS for the length of a test.
func StartPlain(tb testing.TB, config Config) *Server {
	tb.Helper()
	s := newServer(config)
	s.server.Start()
	s.address()
	tb.Cleanup(s.Close)
	return s
}

// Listen starts a server outside a test. The PEM file of its authority is
// written to dir. The caller closes it.
func Listen(dir string, config Config) (*Server, error) {
	authority, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	cert, err := authority.Issue(now.Add(-time.Hour), now.Add(24*time.Hour), "127.0.0.1", "::1", "localhost")
	if err != nil {
		return nil, err
	}
	s := newServer(config)
	s.Authority, s.CAFile = authority, filepath.Join(dir, "registrytest-ca.pem")
	if err := authority.WriteFile(s.CAFile); err != nil {
		return nil, fmt.Errorf("write CA file: %w", err)
	}
	s.server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.server.StartTLS()
	s.address()
	return s, nil
}

func newServer(config Config) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{Registry: New(config), stop: stop}
	s.server = httptest.NewUnstartedServer(s.Registry)
	s.server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	// What net/http has to say of connections that were cut is no news.
	s.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	return s
}

func (s *Server) address() {
	s.URL = s.server.URL
	s.Host = s.server.Listener.Addr().String()
}

// Close ends all connections and every [Hold], and waits for the requests that
// are under way.
func (s *Server) Close() {
	s.stop()
	s.server.CloseClientConnections()
	s.server.Close()
}

// Config returns how to reach the server, with the credential of the first
// user: the first token, or the password.
func (s *Server) Config() registry.RegistryConfig {
	config := registry.RegistryConfig{URL: s.URL, CertDirs: []string{}}
	if s.CAFile != "" {
		config.CAFiles = []string{s.CAFile}
	}
	if s.config.Auth != AuthNone && len(s.config.Users) > 0 {
		config.Auth = s.config.Users[0].auth()
	}
	return config
}

func (u User) auth() registry.AuthConfig {
	auth := registry.AuthConfig{Username: u.Name}
	if len(u.Tokens) > 0 {
		auth.Token = u.Tokens[0].Value
	} else {
		auth.Password = u.Password
	}
	return auth
}

// HTTPClient returns a client that trusts the server and follows no redirect.
func (s *Server) HTTPClient() *http.Client {
	client := s.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
