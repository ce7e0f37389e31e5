//go:build e2e

package test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// wide skips a test that is for breadth alone, unless `make test-wide` runs
// it, which finds such tests by their names.
func wide(t *testing.T) {
	t.Helper()
	if !strings.HasPrefix(t.Name(), "TestWide") {
		t.Fatal("the name of a wide test begins with TestWide")
	}
	if os.Getenv("WIDE") == "" {
		t.Skip("for breadth; run by: make test-wide")
	}
}

// sites are the ways in which people run a Gitea, other than on SQLite and a
// disk. (MariaDB is in TestWideSites.)
var sites = map[string]servers.GiteaOptions{
	"PostgreSQL":               {Database: servers.PostgreSQL},
	"PostgreSQL and S3":        {Database: servers.PostgreSQL, Storage: servers.S3},
	"PostgreSQL and S3 direct": {Database: servers.PostgreSQL, Storage: servers.S3Direct},
}

// TestSites pushes a layout and pulls it back, from a storage too.
func TestSites(t *testing.T) {
	t.Parallel()
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for name, opts := range sites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pushToSite(t, plugin, opts)
		})
	}
}

func TestWideMariaDB(t *testing.T) {
	wide(t)
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for name, opts := range map[string]servers.GiteaOptions{
		"disk": {Database: servers.MariaDB}, "S3 direct": {Database: servers.MariaDB, Storage: servers.S3Direct},
	} {
		t.Run(name, func(t *testing.T) { pushToSite(t, plugin, opts) })
	}
}

func TestWideTraefik(t *testing.T) {
	wide(t)
	p, err := servers.StartTraefik(t.Context(), servers.TraefikOptions{Upstream: gitea(t).URL})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, p.Stop) })
	pushThrough(t, filepath.Join(pluginDir(t), "docker-gitea"), gitea(t), p, pull)
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	p, err := servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: gitea(t).URL})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, p.Stop) })
	pushThrough(t, filepath.Join(pluginDir(t), "docker-gitea"), gitea(t), p, pull)
}

// pushToSite pushes to a new Gitea, and looks whether its database and its
// storage are those that were asked for.
func pushToSite(t *testing.T, plugin string, opts servers.GiteaOptions) {
	t.Helper()
	g := own(t, opts)
	pulled := pull
	if opts.Storage == servers.S3Direct {
		pulled = pullBySkopeo
	}
	user, blob := pushThrough(t, plugin, g, g.Server, pulled)
	blobs, err := g.SQL(t.Context(), "SELECT COUNT(*) FROM package_blob")
	servers.Need(t, err)
	if blobs == "0" {
		t.Error("the database holds no blob")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/v2/"+user+"/app/blobs/"+blob, http.NoBody)
	servers.Need(t, err)
	req.SetBasicAuth(user, servers.AdminPassword)
	resp, err := plain(t, g.Client()).Do(req)
	servers.Need(t, err)
	defer resp.Body.Close()
	if redirected := resp.StatusCode == http.StatusTemporaryRedirect; redirected != (opts.Storage == servers.S3Direct) {
		t.Errorf("got %s for a layer of a Gitea with the storage %q", resp.Status, opts.Storage)
	}
}

// pushThrough pushes a layout with our own program, as it is and once more,
// through front, which is the Gitea or stands before it.
func pushThrough(t *testing.T, plugin string, g *servers.Gitea, front *servers.Server,
	pulled func(t *testing.T, s *servers.Server, user, password, ref string) blobs,
) (user, blob string) {
	t.Helper()
	user = newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	dir := layout(t, 7, 3_000_000)
	ref := front.Host + "/" + user + "/app:1"
	env, err := front.Env(t.TempDir(), user, token)
	servers.Need(t, err)
	for range 2 {
		run(t, env, plugin, "push", dir, ref)
	}
	blobs := layoutBlobs(t, dir)
	assertBlobs(t, pulled(t, front, user, token, ref), blobs)
	for blob = range blobs { // any
		break
	}
	return user, blob
}
