// Package certs says which certificates count for a host. It gathers the TLS settings
// for a registry from a configuration, from directories laid out as Docker's certs.d,
// and from the certificates that the user has pinned.
//
// # Where to begin
//
// [TLSConfig] makes a [*tls.Config] for one host, for any client. [SavePin],
// [RemovePin] and [Pins] edit the pinned certificates. [DefaultDirs] lists the
// directories that are searched.
//
// For a host with a pinned certificate the system's authorities do not count. Those of
// CAFiles, of CAData and of the host's certificate directories count beside the pin.
//
// # Errors
//
// A file that cannot be read, or holds no certificate, is an error that names the file.
// RemovePin of a host without a pin gives one that is fs.ErrNotExist. A certificate that
// is not accepted is only found while connecting: package transport makes a
// [*registry.TLSError] of it.
//
// # Concurrency
//
// All functions are safe for concurrent use. They read and write files, and connect to
// nobody.
//
// # Other packages
//
// Package transport connects with these settings, and package remote does so by itself:
// a program that uses either of them needs this package only to show or to edit pins.
//
// # How the files fit together
//
//   - tls.go: the settings for a host
//   - pins.go: what is pinned for hosts
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

// TLSConfig returns the TLS settings for the host of config, and for that host
// alone. This client uses them, and any other may. They ask for TLS 1.2 at least,
// and have the client certificate, if there is one. The certificate authorities
// are the system's, those of config.CAFiles and config.CAData, and those of the
// host's certificate directories.
//
// A pinned certificate takes the place of the system's authorities, and of
// config.Insecure. If pins cannot be found or read, that is an error.
//
// TLSConfig reads files and makes no connection. RootCAs of the result are the
// authorities beside the system's, or the pinned ones. The system's are read at
// the first handshake that needs them.
func TLSConfig(config registry.RegistryConfig) (*tls.Config, error) {
	e, err := endpoint.Parse(config.URL)
	if err != nil {
		return nil, err
	}
	dirs := config.CertDirs
	if dirs == nil {
		dirs = DefaultDirs("")
	}
	pinned, err := pinsIn(dirs, e.Host)
	if err != nil {
		return nil, err
	}
	result := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: config.Insecure, //nolint:gosec // G402: only where the user asks, for this host
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if len(pinned) > 0 {
		result.RootCAs = x509.NewCertPool()
	}
	for _, file := range config.CAFiles {
		if err := addCA(result, file); err != nil {
			return nil, err
		}
	}
	if config.CAData != "" && !authorities(result).AppendCertsFromPEM([]byte(config.CAData)) {
		return nil, errors.New("certificate authority: no PEM certificate in caData")
	}
	if config.CertFile != "" {
		if err := addPair(result, config.CertFile, config.KeyFile); err != nil {
			return nil, err
		}
	}
	for _, dir := range dirs {
		if err := addDir(result, hostDir(dir, e.Host)); err != nil {
			return nil, err
		}
	}
	switch {
	case len(pinned) > 0:
		usePin(result, e.Host, pinned)
	case result.RootCAs != nil && !config.Insecure:
		addSystem(result, e.Host)
	}
	return result, nil
}

// pinsIn are the certificates that are pinned for host, if [TrustDir] is among
// dirs.
func pinsIn(dirs []string, host string) ([]*x509.Certificate, error) {
	if !slices.Contains(dirs, TrustDir()) {
		return nil, nil
	}
	dir, err := trustDir()
	if err != nil {
		return nil, err
	}
	return readPin(hostDir(dir, host))
}

// DefaultDirs returns the directories laid out as Docker's certs.d, most
// specific first: docker-gitea's own, where trusted certificates are pinned,
// then Docker's (Desktop's, rootless, the system's) and those of containers.
// They need not exist. The first is [TrustDir], even if that is not known:
// there might be a pin, so [TLSConfig] fails then. dockerConfig is Docker's
// configuration directory; empty means ~/.docker.
//
// Source: moby daemon/pkg/registry (CertsDir), containers-certs.d(5).
func DefaultDirs(dockerConfig string) []string {
	return append([]string{TrustDir()}, DockerDirs(dockerConfig)...)
}

// DockerDirs are [DefaultDirs] without docker-gitea's own.
func DockerDirs(dockerConfig string) []string {
	var dirs []string
	if own, err := home.Dir(); err == nil && dockerConfig == "" {
		dockerConfig = filepath.Join(own, ".docker")
	}
	if dockerConfig != "" {
		dirs = append(dirs, filepath.Join(dockerConfig, "certs.d"))
	}
	if config, err := home.Config(); err == nil {
		dirs = append(dirs, filepath.Join(config, "docker", "certs.d"), filepath.Join(config, "containers", "certs.d"))
	}
	return append(dirs, systemCertDirs()...)
}

// TrustDir is the directory of the certificates that the user has pinned, laid
// out as Docker's certs.d; empty when it is not known where the user's
// configuration is.
func TrustDir() string {
	dir, err := trustDir()
	if err != nil {
		return ""
	}
	return dir
}

const windows = "windows"

// systemCertDirs are those of the machine, which only its administrator may
// write to. Windows has none: there anybody may make C:\ProgramData\docker.
func systemCertDirs() []string {
	if runtime.GOOS == windows {
		return nil
	}
	return []string{"/etc/docker/certs.d", "/etc/containers/certs.d"}
}

// hostDir is the directory of host in dir, a certs.d. Docker leaves out the
// colon on Windows.
func hostDir(dir, host string) string {
	switch {
	case dir == TrustDir():
		return filepath.Join(dir, pinName(host, runtime.GOOS))
	case runtime.GOOS == windows:
		return filepath.Join(dir, strings.ReplaceAll(host, ":", ""))
	}
	return filepath.Join(dir, host)
}

// addDir adds the *.crt files of dir as authorities, and its *.cert with the
// *.key of the same name as client certificates. It ignores what it may not
// read, because Docker's directory may belong to another user.
func addDir(config *tls.Config, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read certificates: %w", err)
	}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		switch filepath.Ext(file) {
		case ".crt":
			err = addCA(config, file)
		case ".cert":
			err = addPair(config, file, strings.TrimSuffix(file, ".cert")+".key")
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// authorities are those of config, to add others to.
func authorities(config *tls.Config) *x509.CertPool {
	if config.RootCAs == nil {
		config.RootCAs = x509.NewCertPool()
	}
	return config.RootCAs
}

// addSystem makes config, which is for host alone, accept what its own authorities or
// the system's vouch for. To read the system's takes as long as half of a short
// command. If config's own vouch, the system's are not asked: they could not take that
// back.
func addSystem(config *tls.Config, host string) {
	config.InsecureSkipVerify = true // VerifyConnection does it
	config.VerifyConnection = func(state tls.ConnectionState) error {
		err := verify(state, host, config.RootCAs)
		if err == nil {
			return nil
		}
		system := verify(state, host, nil)
		if system == nil {
			return nil
		}
		_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
		if _, unread := errors.AsType[x509.SystemRootsError](system); unknown && !unread {
			err = system
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
}

// verify is the verification of crypto/tls for a host. Nil roots are the
// system's.
func verify(state tls.ConnectionState, host string, roots *x509.CertPool) error {
	shown := state.PeerCertificates
	// This is not the name of the connection, which has none if the host is an
	// address.
	name := (&url.URL{Host: host}).Hostname()
	_, err := shown[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: pool(shown[1:])})
	return err
}

func addCA(config *tls.Config, file string) error {
	pem, err := ownfile.Read(file)
	if err != nil {
		return fmt.Errorf("read certificate authority: %w", err)
	}
	if !authorities(config).AppendCertsFromPEM(pem) {
		return fmt.Errorf("certificate authority %s: no PEM certificate in it", file)
	}
	return nil
}

func addPair(config *tls.Config, certFile, keyFile string) error {
	certificate, err := ownfile.Read(certFile)
	if err != nil {
		return fmt.Errorf("client certificate %s: %w", certFile, err)
	}
	key, err := ownfile.Read(keyFile)
	if err != nil {
		return fmt.Errorf("client certificate %s: %w", certFile, err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("client certificate %s: %w", certFile, err)
	}
	config.Certificates = append(config.Certificates, pair)
	return nil
}
