//go:build e2e

package test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
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
// disk. (MariaDB is in [TestWideSites].)
var sites = map[string]servers.GiteaOptions{
	"PostgreSQL":               {Database: servers.PostgreSQL},
	"PostgreSQL and S3":        {Database: servers.PostgreSQL, Storage: servers.S3},
	"PostgreSQL and S3 direct": {Database: servers.PostgreSQL, Storage: servers.S3Direct},

	"PostgreSQL and S3 direct without TLS": {Database: servers.PostgreSQL, Storage: servers.S3DirectPlain},
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

// fronts are what stands before a Gitea, each as it is by default.
var fronts = map[string]func(ctx context.Context, upstream string) (*servers.Server, error){
	"nginx": func(ctx context.Context, upstream string) (*servers.Server, error) {
		return servers.StartNginx(ctx, servers.NginxOptions{Upstream: upstream})
	},
	"Caddy": func(ctx context.Context, upstream string) (*servers.Server, error) {
		return servers.StartCaddy(ctx, servers.CaddyOptions{Upstream: upstream})
	},
	"haproxy": func(ctx context.Context, upstream string) (*servers.Server, error) {
		return servers.StartHAProxy(ctx, servers.HAProxyOptions{Upstream: upstream})
	},
	"Traefik": func(ctx context.Context, upstream string) (*servers.Server, error) {
		return servers.StartTraefik(ctx, servers.TraefikOptions{Upstream: upstream})
	},
}

// TestWideSites does all that people do, at each Gitea and behind each proxy.
func TestWideSites(t *testing.T) {
	wide(t)
	all := maps.Clone(sites)
	all["SQLite"] = servers.GiteaOptions{}
	all["MariaDB"] = servers.GiteaOptions{Database: servers.MariaDB}
	all["MariaDB and S3 direct"] = servers.GiteaOptions{Database: servers.MariaDB, Storage: servers.S3Direct}
	for name, opts := range all {
		t.Run(name, func(t *testing.T) {
			attest(t, "site", "Gitea on "+name, "visit", programsOf(opts)...)
			g := own(t, opts)
			visit(t, g, g.Server, opts.Storage)
		})
	}
	for front, start := range fronts {
		for name, opts := range map[string]servers.GiteaOptions{
			front: {},
			front + " before Gitea on PostgreSQL and S3 direct": {Database: servers.PostgreSQL, Storage: servers.S3Direct},
		} {
			t.Run("behind "+name, func(t *testing.T) {
				attest(t, "proxy", name, "visit", append([]string{strings.ToLower(front)}, programsOf(opts)...)...)
				visitBehind(t, start, opts)
			})
		}
	}
}

// programsOf are what such a Gitea consists of.
func programsOf(opts servers.GiteaOptions) []string {
	programs := []string{"gitea"}
	switch opts.Database {
	case servers.PostgreSQL:
		programs = append(programs, "initdb")
	case servers.MariaDB:
		programs = append(programs, "mariadbd")
	case servers.SQLite:
	}
	if opts.Storage != servers.Disk {
		programs = append(programs, "versitygw")
	}
	return programs
}

func visitBehind(t *testing.T, start func(ctx context.Context, upstream string) (*servers.Server, error), opts servers.GiteaOptions) {
	t.Helper()
	opts.PlainHTTP = true // the proxy is where TLS ends
	g := own(t, opts)
	front, err := start(t.Context(), g.URL)
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, front.Stop) })
	front.CertDir = g.CertDir
	visit(t, g, front, opts.Storage)
}

// direct reports whether downloads are led to the storage.
func direct(storage servers.Storage) bool {
	return storage == servers.S3Direct || storage == servers.S3DirectPlain
}

// puller fetches an image with programs of other people.
type puller func(t *testing.T, s *servers.Server, user, password, ref string) blobs

// pulling is for a Gitea with the storage.
func pulling(storage servers.Storage) puller {
	if direct(storage) {
		return pullBySkopeo
	}
	return pull
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	p, err := servers.StartHAProxy(t.Context(), servers.HAProxyOptions{Upstream: gitea(t).URL})
	servers.Need(t, err)
	t.Cleanup(func() { stop(t, p.Stop) })
	pushThrough(t, filepath.Join(pluginDir(t), "docker-gitea"), gitea(t), p, servers.Disk)
}

// pushToSite pushes to a new Gitea, and looks whether its database and its
// storage are those that were asked for.
func pushToSite(t *testing.T, plugin string, opts servers.GiteaOptions) {
	t.Helper()
	g := own(t, opts)
	user, blob := pushThrough(t, plugin, g, g.Server, opts.Storage)
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
	if redirected := resp.StatusCode == http.StatusTemporaryRedirect; redirected != direct(opts.Storage) {
		t.Errorf("got %s for a layer of a Gitea with the storage %q", resp.Status, opts.Storage)
	}
}

// listThrough reads what was pushed, or where it is not to be read, is told why and
// which setting to change.
func listThrough(t *testing.T, env []string, plugin, ref string, readable bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), plugin, "ls", strings.TrimSuffix(ref, ":1"))
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	told := strings.Contains(string(out), "redirects to its storage without TLS") && strings.Contains(string(out), "SERVE_DIRECT = false")
	if readable != (err == nil) || told == readable {
		t.Errorf("%v: %s", err, out)
	}
}

// pushThrough pushes a layout with our own program, as it is and once more,
// through front, which is the Gitea or stands before it.
func pushThrough(t *testing.T, plugin string, g *servers.Gitea, front *servers.Server,
	storage servers.Storage,
) (user, blob string) {
	t.Helper()
	user = newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	dir := samples.Layout(t, 7, 3_000_000)
	ref := front.Host + "/" + user + "/app:1"
	env, err := front.Env(t.TempDir(), user, token)
	servers.Need(t, err)
	for range 2 {
		run(t, env, plugin, "push", dir, ref)
	}
	blobs := layoutBlobs(t, dir)
	assertBlobs(t, pulling(storage)(t, front, user, token, ref), blobs)
	listThrough(t, env, plugin, ref, storage != servers.S3DirectPlain)
	for blob = range blobs { // any
		break
	}
	return user, blob
}
