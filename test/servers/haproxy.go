package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"text/template"
)

// HAProxyOptions says what haproxy stands in front of, and how. The zero value
// of everything but Upstream is haproxy as its packages set it up.
type HAProxyOptions struct {
	// Upstream is the URL that requests go to.
	Upstream string
	// Directives are added to the backend, such as "http-request deny if …".
	Directives string
}

// The timeouts are those that Debian's haproxy.cfg comes with.
var haproxyConfig = template.Must(template.New("haproxy.cfg").Parse(`global
	log stdout format raw local0
defaults
	log global
	mode http
	option httplog
	timeout connect 5000
	timeout client 50000
	timeout server 50000
frontend front
	bind {{.Host}} ssl crt {{.PEM}} alpn h2,http/1.1
	default_backend gitea
backend gitea
	http-request set-header X-Forwarded-Proto https
	{{.Directives}}
	server gitea {{.Server}}
`))

// StartHAProxy starts haproxy as a proxy. Its certificate is signed by an
// authority of its own.
func StartHAProxy(ctx context.Context, opts HAProxyOptions) (*Server, error) {
	program, err := Program("haproxy")
	if err != nil {
		return nil, err
	}
	s, err := listen("haproxy", 0, false)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.Dir, "haproxy.cfg")
	s.command = command{path: program, args: []string{"-db", "-f", config}, dir: s.Dir}
	if err := writeHAProxyConfig(config, s, opts); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, s.start(ctx)
}

func writeHAProxyConfig(file string, s *Server, opts HAProxyOptions) error {
	cert, err := issue(s.Dir, localNames...)
	if err != nil {
		return err
	}
	// It wants certificate and key in one file.
	chain, errChain := os.ReadFile(cert.certFile)
	key, errKey := os.ReadFile(cert.keyFile)
	pem := filepath.Join(s.Dir, "both.pem")
	if err := errors.Join(errChain, errKey, os.WriteFile(pem, append(chain, key...), 0o600)); err != nil {
		return fmt.Errorf("write haproxy certificate: %w", err)
	}
	upstream, err := url.Parse(opts.Upstream)
	if err != nil {
		return fmt.Errorf("read upstream: %w", err)
	}
	server := upstream.Host
	if upstream.Scheme == "https" {
		server += " ssl verify none"
	}
	var config bytes.Buffer
	if err := haproxyConfig.Execute(&config, map[string]string{"Host": s.Host, "PEM": pem, "Server": server, "Directives": opts.Directives}); err != nil {
		return fmt.Errorf("render haproxy config: %w", err)
	}
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write haproxy config: %w", err)
	}
	return nil
}
