package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// The credentials of a distribution registry with Auth set.
const (
	RegistryUser     = "user"
	RegistryPassword = "password"
	// The registry accepts bcrypt only; this is RegistryPassword at the lowest cost.
	registryPasswords = RegistryUser + ":$2y$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm\n"
)

// RegistryOptions changes how the distribution registry is started.
// The zero value is HTTPS without credentials.
type RegistryOptions struct {
	// PlainHTTP serves HTTP.
	PlainHTTP bool
	// Auth asks for RegistryUser and RegistryPassword, by the Basic scheme.
	Auth bool
	// Newer is release 3.1, for wide tests.
	Newer bool
}

// StartRegistry starts Debian's docker-registry, which is distribution 2.8, or a
// newer one.
func StartRegistry(ctx context.Context, opts RegistryOptions) (*Server, error) {
	name := "docker-registry"
	if opts.Newer {
		name = "registry-3"
	}
	program, err := Program(name)
	if err != nil {
		return nil, err
	}
	s, err := listen("registry", 0, opts.PlainHTTP)
	if err != nil {
		return nil, err
	}
	config, err := registryConfig(s, opts)
	if err != nil {
		_ = s.Stop()
		return nil, err
	}
	s.path = "/v2/"
	s.ready = func(status int) bool { return status == http.StatusOK || status == http.StatusUnauthorized }
	s.command = command{path: program, args: []string{"serve", config}, dir: s.Dir}
	return s, s.start(ctx)
}

// StartCraneRegistry starts the registry that is part of crane, which keeps all
// in memory, over plain HTTP and without credentials.
func StartCraneRegistry(ctx context.Context) (*Server, error) {
	program, err := Program("crane")
	if err != nil {
		return nil, err
	}
	s, err := listen("crane", 0, true)
	if err != nil {
		return nil, err
	}
	s.path = "/v2/"
	s.ready = func(status int) bool { return status == http.StatusOK }
	s.command = command{path: program, args: []string{"registry", "serve", "--address", s.Host}, env: []string{"HOME=" + s.Dir}, dir: s.Dir}
	return s, s.start(ctx)
}

func registryConfig(s *Server, opts RegistryOptions) (string, error) {
	config := fmt.Sprintf(`version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}
http:
  addr: %q
`, filepath.Join(s.Dir, "data"), s.Host)
	if !opts.PlainHTTP {
		cert, err := issue(s.Dir, localNames...)
		if err != nil {
			return "", err
		}
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", cert.certFile, cert.keyFile)
	}
	if opts.Auth {
		passwords := filepath.Join(s.Dir, "htpasswd")
		if err := os.WriteFile(passwords, []byte(registryPasswords), 0o600); err != nil {
			return "", fmt.Errorf("write registry passwords: %w", err)
		}
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", passwords)
	}
	file := filepath.Join(s.Dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("write registry config: %w", err)
	}
	return file, nil
}
