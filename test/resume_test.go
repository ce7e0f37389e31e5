//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestPushGoesOnWhereItWasKilled kills the plugin in the middle of a large
// layer, behind nginx with its default buffering and a limit on bodies: the
// registry keeps the parts that arrived whole, and the next process does not
// send them again.
func TestPushGoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	archive := filepath.Join(t.TempDir(), "image.tar")
	writeFile(t, archive, dockerArchive(t, 71, size))
	sources := map[string]string{"layout": layout(t, 70, size), "archive": archive}
	g := gitea(t)
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	for kind, upstream := range map[string]*servers.Server{"gitea": g.Server, "distribution": registry(t)} {
		for source, path := range sources {
			t.Run(kind+" "+source, func(t *testing.T) {
				t.Parallel()
				n := behind(t, servers.NginxOptions{Upstream: upstream.URL, MaxBody: "2m", PlainHTTP: true})
				proxy := startCutter(t, n.Host)
				env := append(os.Environ(), "HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(),
					"DOCKER_GITEA_HOST="+proxy.host, "DOCKER_GITEA_TOKEN="+token)
				push := func() *exec.Cmd {
					c := exec.CommandContext(t.Context(), plugin, "push", "--plain-http", "--chunk-size", "2097152", path, proxy.host+"/"+user+"/killed-"+source+":1")
					c.Env = env
					return c
				}
				proxy.arm(9<<20, faultOutage)
				first := push()
				servers.Need(t, first.Start())
				for cut := false; !cut; _, cut = proxy.count() {
					select {
					case <-time.After(5 * time.Millisecond):
					case <-t.Context().Done():
						t.Fatal("the push never reached the cut")
					}
				}
				servers.Need(t, first.Process.Kill())
				_ = first.Wait() // it was killed

				proxy.arm(-1, faultReset)
				out, err := push().CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				passed, _ := proxy.count()
				t.Logf("the second push exchanged %d bytes of a layer of %d", passed, size)
				if passed > size-6<<20 {
					t.Errorf("it sent again what was there: %s", out)
				}
				pull(t, upstream, user, token, upstream.Host+"/"+user+"/killed-"+source+":1")
			})
		}
	}
}
