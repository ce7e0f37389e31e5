//go:build e2e

package test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// talkative sends an answer nobody asked for after each of next, as load
// balancers do when they close a connection.
func talkative(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := interfere.NewRecorder(w)
		next.ServeHTTP(answer, req)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // the client has gone
		}
		defer conn.Close()
		if answer.Result().Write(conn) == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	})
}

// TestUnaskedAnswers pushes where connections end with an answer to nothing.
// Go's HTTP client logs each of them, which is nothing for a terminal.
func TestUnaskedAnswers(t *testing.T) {
	t.Parallel()
	// Others need their images to be new.
	p := &patient{command: pushing, plugin: filepath.Join(pluginDir(t), "docker-gitea"), image: samples.Layout(t, 77, 1<<20), gitea: gitea(t), took: newStopwatch()}
	to := behindHandler(t, talkative(inFrontOf(t, p.gitea, func(*http.Request) {})))
	out := p.try(t, to, servers.AdminUser+"/talkative")
	if strings.Contains(out, "Unsolicited") || !strings.Contains(out, "digest: sha256:") {
		t.Errorf("got %s", out)
	}
}
