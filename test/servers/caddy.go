package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// CaddyOptions says what Caddy stands in front of, and how. The zero value of
// everything but Upstream is Caddy as it is by default, with a certificate of
// its internal authority.
type CaddyOptions struct {
	// Upstream is the URL that requests go to.
	Upstream string
	// Directives are added to the site, such as "request_body { … }", and Servers
	// to what holds for all of them, such as "timeouts { … }".
	Directives, Servers string
}

// %s are the directives for all servers, the server's own URL, those for it, and the
// upstream's URL.
const caddyfile = `{
	admin off
	skip_install_trust
	auto_https disable_redirects
	default_bind 127.0.0.1
	servers {
		%s
	}
}
%s {
	tls internal
	log
	%s
	reverse_proxy %s
}
`

// StartCaddy starts Caddy as a proxy. The authority makes itself as it starts,
// and an authority below it that signs the certificates and is shown with them.
func StartCaddy(ctx context.Context, opts CaddyOptions) (*Server, error) {
	program, err := Program("caddy")
	if err != nil {
		return nil, err
	}
	s, err := listen("caddy", 0, false)
	if err != nil {
		return nil, err
	}
	s.CAFile = filepath.Join(s.Dir, "caddy/pki/authorities/local/root.crt")
	config := filepath.Join(s.Dir, "Caddyfile")
	s.command = command{
		path: program, args: []string{"run", "--config", config, "--adapter", "caddyfile"},
		env: []string{"HOME=" + s.Dir, "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir}, dir: s.Dir,
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, caddyfile, opts.Servers, s.URL, opts.Directives, opts.Upstream), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write Caddyfile: %w", err), s.Stop())
	}
	return s, s.start(ctx)
}
