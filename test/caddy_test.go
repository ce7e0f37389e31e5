//go:build e2e

package test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestCaddy pushes through Caddy, which limits requests and has a certificate
// of its own authority: what it shows vouches for a week alone.
func TestCaddy(t *testing.T) {
	t.Parallel()
	g := own(t, servers.GiteaOptions{PlainHTTP: true})
	c, err := servers.StartCaddy(t.Context(), servers.CaddyOptions{Upstream: g.URL, Directives: "request_body {\n\t\tmax_size 4MiB\n\t}"})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, c.Stop) })
	user, d := newUser(t, g), newDesk(t, c, "SSL_CERT_FILE=/dev/null")
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	dir := samples.Layout(t, 60, 10<<20)
	push := []string{"push", "--username", user, "--password-stdin", dir, c.Host + "/" + user + "/app:1"}

	chain, err := remote.New(client.RegistryConfig{URL: c.URL, CertDirs: []string{}}, nil)
	servers.Need(t, err)
	shown, err := chain.Certificates(t.Context())
	servers.Need(t, err)
	signer := client.Fingerprint(certs.Authority(shown))
	if out := d.run(t, "", plugin, "trust", "--fingerprint", signer, c.Host); !strings.Contains(out, "which signed it, is not shown") {
		t.Errorf("pinning for a week: got no warning in %s", out)
	}
	if out := d.run(t, "", plugin, "trust", c.Host, c.CAFile); strings.Contains(out, "warning") || !strings.Contains(out, fingerprint(t, c.CAFile)) {
		t.Errorf("pinning the authority: got %s", out)
	}
	if out := d.run(t, servers.AdminPassword, plugin, "check", "--username", user, "--password-stdin", c.Host+"/"+user); !strings.Contains(out, "raise max_size of request_body") {
		t.Errorf("check does not name Caddy's limit: %s", out)
	}
	d.run(t, servers.AdminPassword, plugin, push...)
	assertBlobs(t, pull(t, c, user, servers.AdminPassword, c.Host+"/"+user+"/app:1"), layoutBlobs(t, dir))

	// One that can send nothing smaller is told what to change.
	_, err = pushPath(t, newClient(t, c, userAuth(user), nil), user+"/app:2", dir, client.PushOptions{ChunkSize: 8 << 20})
	if d := client.Diagnose(err); err != nil && !strings.Contains(d.Hint, "max_size") {
		t.Errorf("got %v, %+v", err, d)
	}
	if status, _ := get(t, c, "/user/login"); status != http.StatusOK {
		t.Errorf("the page: got %d", status)
	}
}
