package servers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// NginxOptions says what nginx stands in front of, and how.
// The zero value of everything but Upstream is nginx as it is commonly set up
// for Gitea: HTTPS, a limit of 1 MiB on bodies, and requests buffered before
// they are passed on.
type NginxOptions struct {
	// Upstream is the URL that requests go to.
	Upstream string
	// Port to listen on; 0 takes a free one. Set it when the upstream
	// must know its public address before nginx runs, see FreePort.
	Port int
	// MaxBody is client_max_body_size, such as "8m" or "0" for no limit.
	MaxBody string
	// HideScheme leaves X-Forwarded-Proto out of the requests,
	// so that the upstream cannot know that its clients use HTTPS.
	HideScheme bool
	// PlainHTTP serves HTTP.
	PlainHTTP bool
	// Directives are added to the location that passes requests on, those of
	// Server stand beside it.
	Directives, Server string
}

var nginxConfig = template.Must(template.New("nginx.conf").Parse(`daemon off;
master_process off;
pid {{.Dir}}/nginx.pid;
error_log stderr info;
events {}
http {
	access_log {{.Log}};
	client_body_temp_path {{.Dir}}/body;
	proxy_temp_path {{.Dir}}/proxy;
	fastcgi_temp_path {{.Dir}}/fastcgi;
	uwsgi_temp_path {{.Dir}}/uwsgi;
	scgi_temp_path {{.Dir}}/scgi;
	server {
		listen {{.Host}}{{if .CertFile}} ssl http2{{end}};
		{{- if .CertFile}}
		ssl_certificate {{.CertFile}};
		ssl_certificate_key {{.KeyFile}};
		{{- end}}
		{{- if .MaxBody}}
		client_max_body_size {{.MaxBody}};
		{{- end}}
		{{.Server}}
		location / {
			proxy_pass {{.Upstream}};
			proxy_ssl_verify off;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			{{- if not .HideScheme}}
			proxy_set_header X-Forwarded-Proto $scheme;
			{{- end}}
			{{.Directives}}
		}
	}
}
`))

// StartNginx starts nginx as a proxy. Its certificate is signed by an
// authority of its own.
func StartNginx(ctx context.Context, opts NginxOptions) (*Server, error) {
	program, err := Program("nginx")
	if err != nil {
		return nil, err
	}
	s, err := listen("nginx", opts.Port, opts.PlainHTTP)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.Dir, "nginx.conf")
	s.command = command{path: program, args: []string{"-p", s.Dir, "-c", config}, dir: s.Dir}
	if err := writeNginxConfig(config, s, opts); err != nil {
		_ = s.Stop()
		return nil, err
	}
	return s, s.start(ctx)
}

func writeNginxConfig(file string, s *Server, opts NginxOptions) error {
	values := struct {
		NginxOptions
		Dir, Log, Host, CertFile, KeyFile string
	}{NginxOptions: opts, Dir: s.Dir, Log: s.command.logFile(), Host: s.Host}
	if !opts.PlainHTTP {
		cert, err := issue(s.Dir, localNames...)
		if err != nil {
			return err
		}
		values.CertFile, values.KeyFile = cert.certFile, cert.keyFile
	}
	var config bytes.Buffer
	if err := nginxConfig.Execute(&config, values); err != nil {
		return fmt.Errorf("render nginx config: %w", err)
	}
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write nginx config: %w", err)
	}
	return nil
}
