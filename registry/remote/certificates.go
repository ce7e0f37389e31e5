package remote

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Certificates returns those that the server shows, leaf first, whether they
// are to be trusted or not. It sends no credential.
func (c *Client) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	config := c.config
	config.Auth, config.Insecure = registry.AuthConfig{}, true
	if config.CertDirs == nil {
		config.CertDirs = certs.DefaultDirs("")
	}
	config.CertDirs = slices.DeleteFunc(slices.Clone(config.CertDirs), func(dir string) bool { return dir == certs.TrustDir() }) // a pin holds under Insecure, too
	blind, err := New(config, &c.opts)
	if err != nil {
		return nil, err
	}
	s, err := blind.conn(ctx, false, nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.PingBare(wire.WithInfo(ctx, wire.NewInfo("", 0)), wire.Stay)
	if err != nil {
		return nil, fmt.Errorf("ask registry: %w", err)
	}
	defer response.Drain(resp)
	if resp.TLS == nil {
		return nil, fmt.Errorf("%s speaks plain HTTP: it has no certificate", c.Host())
	}
	return resp.TLS.PeerCertificates, nil
}
