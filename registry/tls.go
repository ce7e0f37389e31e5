package registry

import (
	"crypto/tls"
)

// TLSConfig returns the TLS settings for the host of config: TLS 1.2 at least,
// the system's certificate authorities and those of config and its
// certificate directories, and the client certificate.
func TLSConfig(config RegistryConfig) (*tls.Config, error) {
	return nil, errStub
}

// DefaultCertDirs returns the directories laid out as Docker's certs.d that
// exist by convention, most specific first: docker-gitea's own (where trusted
// certificates are pinned), Docker's (Desktop, rootless, system), and those of
// containers. dockerConfig is Docker's configuration directory; empty means
// ~/.docker.
func DefaultCertDirs(dockerConfig string) []string {
	return nil
}
