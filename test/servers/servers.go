// Package servers starts real servers for tests, benchmarks and demonstrations:
// Gitea and Forgejo, on several databases and storages, Docker engines with
// either image store, BuildKit, the distribution registry, and nginx, Caddy,
// haproxy or Traefik in front of any of them. It also finds the programs that other people
// push images with.
//
// Everything runs on loopback addresses with random ports, in a temporary
// folder of its own, so several of each can run at once; and nothing outlives
// the process that started it. The package is written for Linux; elsewhere it
// compiles, and what happens to run there runs.
//
// # Programs
//
// A program is either built from a pinned Go module under test/tools or comes
// from a Debian package (tools.go, debian.go). [Program] finds it,
// [Build] and [InstallPackages] provide it, and `go run ./test/cmd/servers build`
// does both for all of them but the wide ones, see [Wide]. Built programs stay
// in a cache folder, see [CacheDir], until the module that pins them changes.
//
// # Servers
//
// [StartGitea], [StartEngine], [StartBuildKit], [StartRegistry], [StartNginx],
// [StartCaddy], [StartHAProxy] and [StartTraefik] return when the server answers.
// Their context bounds the start only: a server runs until its Stop method is
// called. A program that is not there is a [*MissingError];
// a test hands every error to [Need], which tells a missing program, worth a
// skip on a developer's machine, from a failure.
package servers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
)

// Server is what the HTTP servers of this package have in common.
// Its methods may be called from several goroutines, except that
// Stop, Kill and Restart are for one at a time.
type Server struct {
	// Host is "localhost:PORT", as it stands in an image reference.
	Host string
	// URL is the address of the server without a final slash.
	URL string
	// CAFile names the PEM file of the authority to trust;
	// it is empty when the server speaks plain HTTP.
	CAFile string
	// CertDir is a folder as docker's certs.d with the authority of the storage
	// that downloads are led to; it is empty when there is none, or no TLS.
	CertDir string
	// Dir holds everything the server writes. Stop removes it.
	Dir string

	command command
	process *process
	client  *http.Client
	ready   func(status int) bool // nil takes every answer
	path    string                // that ready is asked about
}

// listen gives s a folder, an address and the files that HTTPS needs to trust it.
func listen(name string, port int, plainHTTP bool) (*Server, error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return nil, fmt.Errorf("make folder for %s: %w", name, err)
	}
	if port == 0 {
		if port, err = FreePort(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	s := &Server{Host: net.JoinHostPort("localhost", strconv.Itoa(port)), Dir: dir, path: "/"}
	if plainHTTP {
		s.URL = "http://" + s.Host
		return s, nil
	}
	s.URL = "https://" + s.Host
	s.CAFile = filepath.Join(dir, "ca.pem")
	return s, nil
}

// start runs the server's command and waits until it answers.
// When that fails it leaves nothing behind.
func (s *Server) start(ctx context.Context) error {
	if err := s.run(ctx); err != nil {
		return errors.Join(err, s.Stop())
	}
	return nil
}

func (s *Server) run(ctx context.Context) error {
	p, err := s.command.start()
	if err != nil {
		return err
	}
	s.process = p
	return p.await(ctx, s.answers)
}

// answers reports whether the server is there and well.
func (s *Server) answers(ctx context.Context) error {
	if s.client == nil { // some servers make their authority as they start
		client, err := trusting(s.CAFile)
		if err != nil {
			return err
		}
		s.client = client
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+s.path, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask whether %s is ready: %w", s.Host, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask whether %s is ready: %w", s.Host, err)
	}
	defer resp.Body.Close()
	if s.ready != nil && !s.ready(resp.StatusCode) {
		return fmt.Errorf("ask whether %s is ready: %s", s.Host, resp.Status)
	}
	return nil
}

// Client returns an HTTP client that trusts this server.
func (s *Server) Client() *http.Client { return s.client }

// Log returns what the server has printed so far.
func (s *Server) Log() string { return s.command.log() }

// Stop ends the server and removes its folder.
// A second call does nothing.
func (s *Server) Stop() error {
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	return errors.Join(s.process.stop(), os.RemoveAll(s.Dir))
}

// Kill ends the server at once, as a power cut would,
// and keeps its data for Restart.
func (s *Server) Kill() { s.process.kill() }

// Restart starts the server again on the same address with the same data,
// having stopped it first if it runs.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.process.stop(); err != nil {
		return err
	}
	return s.run(ctx)
}

// Env returns the environment for a command that uses this server as user:
// Docker's configuration with the credentials, in dir, for every program that
// reads it (docker, crane, regctl, oras, skopeo), this server's authority as the
// only one trusted, and nothing else of the caller's but PATH. An empty user
// means no credentials.
func (s *Server) Env(dir, user, password string) ([]string, error) {
	var config struct {
		Auths map[string]map[string]string `json:"auths"`
	}
	if user != "" {
		auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
		config.Auths = map[string]map[string]string{s.Host: {"auth": auth}}
	}
	data, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode docker config: %w", err)
	}
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("write docker config: %w", err)
	}
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"DOCKER_CONFIG=" + dir,
		"REGISTRY_AUTH_FILE=" + file,
	}
	if s.CAFile != "" {
		authorities := dir
		if s.CertDir != "" { // whose folder has the authority as ca.pem
			authorities = filepath.Dir(s.CertDir)
		}
		env = append(env, "SSL_CERT_FILE="+s.CAFile, "SSL_CERT_DIR="+authorities)
	}
	return env, nil
}

// trusting returns a client that accepts only certificates issued by caFile.
func trusting(caFile string) (*http.Client, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authority: %w", err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport}, nil
}

// The ports that FreePort tries lie below the range from which Linux takes
// the ports of outgoing connections, so none of these can take one between
// our look and the server's.
const (
	firstPort = 20000
	lastPort  = 32000
)

// given are listeners, until this process ends, at the ports that FreePort has given.
// They have an address of their own, which says to other processes that a port is taken.
var given struct {
	sync.Mutex
	all []net.Listener
}

// FreePort returns a TCP port of the loopback address that nobody listens on. It gives
// none twice, to whatever process of a test run.
func FreePort() (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if runtime.GOOS == "linux" { // elsewhere that address has to be set up
			mark, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 77, 0, 1), Port: port})
			if err != nil {
				last = err
				continue
			}
			given.Lock()
			given.all = append(given.all, mark)
			given.Unlock()
		}
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			last = err
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("find free port: %w", err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("find free port: %w", last)
}
