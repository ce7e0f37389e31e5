package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TraefikOptions says what Traefik stands in front of. Everything else is as
// Traefik has it by default, such as its end of requests after 60 seconds.
// Traefik is for tests that are [Wide].
type TraefikOptions struct {
	// Upstream is the URL that requests go to.
	Upstream string
}

// %q is the server's own address.
const traefikStatic = `entryPoints:
  front:
    address: %q
providers:
  file:
    filename: %q
log:
  level: INFO
accessLog: {}
`

const traefikDynamic = `http:
  routers:
    gitea:
      rule: "PathPrefix(` + "`/`" + `)"
      service: gitea
      tls: {}
  services:
    gitea:
      loadBalancer:
        serversTransport: gitea
        servers:
          - url: %q
  serversTransports:
    gitea:
      insecureSkipVerify: true
tls:
  stores:
    default:
      defaultCertificate:
        certFile: %q
        keyFile: %q
`

// StartTraefik starts Traefik as a proxy. Its certificate is signed by an
// authority of its own.
func StartTraefik(ctx context.Context, opts TraefikOptions) (*Server, error) {
	program, err := Program("traefik")
	if err != nil {
		return nil, err
	}
	s, err := listen("traefik", 0, false)
	if err != nil {
		return nil, err
	}
	static, dynamic := filepath.Join(s.Dir, "traefik.yml"), filepath.Join(s.Dir, "dynamic.yml")
	s.command = command{path: program, args: []string{"--configFile=" + static}, env: []string{"HOME=" + s.Dir}, dir: s.Dir}
	cert, err := issue(s.Dir, localNames...)
	if err == nil {
		err = errors.Join(
			os.WriteFile(static, fmt.Appendf(nil, traefikStatic, s.Host, dynamic), 0o600),
			os.WriteFile(dynamic, fmt.Appendf(nil, traefikDynamic, opts.Upstream, cert.certFile, cert.keyFile), 0o600),
		)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write traefik config: %w", err), s.Stop())
	}
	// It answers 404 until it has read what stands behind it.
	s.ready = func(status int) bool { return status != 404 }
	return s, s.start(ctx)
}
