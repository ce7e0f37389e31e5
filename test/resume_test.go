//go:build e2e

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
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
	samples.WriteFile(t, archive, samples.DockerArchive(t, 71, size))
	sources := map[string]string{"layout": samples.Layout(t, 70, size), "archive": archive}
	g := gitea(t)
	user := newUser(t, g)
	token, err := g.CreateToken(t.Context(), user, "write:package")
	servers.Need(t, err)
	for kind, upstream := range map[string]*servers.Server{"gitea": g.Server, "distribution": registry(t)} {
		for source, path := range sources {
			t.Run(kind+" "+source, func(t *testing.T) {
				t.Parallel()
				n := behind(t, servers.NginxOptions{Upstream: upstream.URL, MaxBody: "2m", PlainHTTP: true})
				proxy := interfere.StartCutter(t, n.Host)
				env := append(os.Environ(), "HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(),
					"DOCKER_GITEA_HOST="+proxy.Address(), "DOCKER_GITEA_TOKEN="+token)
				push := func() *exec.Cmd {
					c := exec.CommandContext(t.Context(), plugin, "push", "--plain-http", "--chunk-size", "2097152", path, proxy.Address()+"/"+user+"/killed-"+source+":1")
					c.Env = env
					return c
				}
				proxy.Arm(9<<20, interfere.Outage)
				first := push()
				servers.Need(t, first.Start())
				for cut := false; !cut; _, cut = proxy.Count() {
					select {
					case <-time.After(5 * time.Millisecond):
					case <-t.Context().Done():
						t.Fatal("the push never reached the cut")
					}
				}
				servers.Need(t, first.Process.Kill())
				_ = first.Wait() // it was killed

				proxy.Arm(-1, interfere.Reset)
				out, err := push().CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				passed, _ := proxy.Count()
				t.Logf("the second push exchanged %d bytes of a layer of %d", passed, size)
				if passed > size-6<<20 {
					t.Errorf("it sent again what was there: %s", out)
				}
				pull(t, upstream, user, token, upstream.Host+"/"+user+"/killed-"+source+":1")
			})
		}
	}
}
