//go:build e2e

package test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// talkative stands in front of Gitea and sends an answer nobody asked for after
// each that somebody did, as load balancers do when they close a connection.
type talkative struct{ gitea *servers.Gitea }

func (s talkative) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	target, err := url.Parse(s.gitea.URL)
	if err != nil {
		panic(err)
	}
	out := req.Clone(req.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", target.Scheme, target.Host
	resp, err := s.gitea.Client().Do(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer func() { _ = conn.Close() }()
	if resp.Write(conn) == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}
}

// TestUnaskedAnswers pushes where connections end with an answer to nothing.
// Go's HTTP client logs each of them, which is nothing for a terminal.
func TestUnaskedAnswers(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	p.image = layout(t, 77, 1<<20) // others need theirs to be new
	srv := httptest.NewServer(talkative{p.gitea})
	t.Cleanup(srv.Close)
	to := address{host: strings.TrimPrefix(srv.URL, "http://"), auth: admin}
	repository := servers.AdminUser + "/talkative"
	out := p.push(t, to, repository)
	if strings.Contains(out, "Unsolicited") || !strings.Contains(out, "digest: sha256:") {
		t.Errorf("got %s", out)
	}
}
