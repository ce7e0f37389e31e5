//go:build e2e

package test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestPushViaTheDaemon pushes through the daemon's own push: first, again, and
// with a layer added; every time what arrived is pulled back, and no name is
// left in the daemon, nor an origin.
func TestPushViaTheDaemon(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, store := range []servers.Store{servers.Classic, servers.Graph, servers.Containerd} {
		t.Run(string(store), func(t *testing.T) {
			e, g := engine(t, store), gitea(t)
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			env := append(e.Env(), "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
			dir := samples.BuildContext(t, 40, 20<<20)
			tag := name + "/app:1"
			push := func() string {
				out := run(t, append(env, "PLUGIN="+plugin, "TAG="+tag), "bash", "-c", `"$PLUGIN" gitea push --via daemon --progress plain "$TAG" "$DOCKER_GITEA_HOST/$TAG" 2>&1`)
				assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag), pullWithSkopeo(t, g.Server, name, g.Host+"/"+tag))
				names, err := e.Run(t.Context(), "images", "--all", "--digests")
				servers.Need(t, err)
				origins, err := e.Run(t.Context(), "image", "inspect", tag)
				servers.Need(t, err)
				if left := names + origins; strings.Contains(left, "docker-gitea-") {
					t.Errorf("left behind: %s", left)
				}
				return out
			}
			servers.Need(t, e.Build(t.Context(), tag, dir))
			t.Log(push())
			if out := push(); !strings.Contains(out, "already exists") {
				t.Errorf("pushed again: %s", out)
			}
			addLayer(t, dir)
			servers.Need(t, e.Build(t.Context(), tag, dir))
			out := push()
			t.Log(out)
			if !strings.Contains(out, "already exists") || !strings.Contains(out, "Pushed") {
				t.Errorf("pushed one more layer: %s", out)
			}
		})
	}
}

// addLayer makes a build give one small layer more.
func addLayer(t *testing.T, dir string) {
	t.Helper()
	samples.WriteFile(t, filepath.Join(dir, "small"), samples.Content(41, 10_000))
	path := filepath.Join(dir, "Dockerfile")
	dockerfile, err := os.ReadFile(path)
	servers.Need(t, err)
	samples.WriteFile(t, path, append(dockerfile, "\nCOPY small /small\n"...))
}

// TestChangedLayer pushes an image by its export, and then with a small layer
// more: by itself the push goes through the daemon, which has pushed none of it
// before, and only the new layer is sent. So it is ever after.
func TestChangedLayer(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, store := range []servers.Store{servers.Classic, servers.Graph} {
		t.Run(string(store), func(t *testing.T) {
			e, g := engine(t, store), gitea(t)
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			env := append(e.Env(), "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
			dir := samples.BuildContext(t, 42, 20<<20)
			tag := name + "/app:1"
			push := func(way string) string {
				out := run(t, append(env, "PLUGIN="+plugin, "TAG="+tag, "WAY="+way), "bash", "-c", `"$PLUGIN" gitea push --via "$WAY" --progress plain "$TAG" "$DOCKER_GITEA_HOST/$TAG" 2>&1`)
				assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag), pullWithSkopeo(t, g.Server, name, g.Host+"/"+tag))
				return out
			}
			servers.Need(t, e.Build(t.Context(), tag, dir))
			t.Log(push("export"))
			for range 2 {
				addLayer(t, dir)
				servers.Need(t, e.Build(t.Context(), tag, dir))
				out := push("auto")
				t.Log(out)
				// The small layers and the config; never the large one.
				if n := strings.Count(out, ": Pushed"); n > 3 || !strings.Contains(out, "already exists") || strings.Contains(out, "could not") {
					t.Errorf("a push with a small layer more: %s", out)
				}
			}
		})
	}
}

// TestDaemonPushesAgain cuts the connection to the registry in the middle of a
// layer that was passed on without a copy: the daemon sends it once more.
func TestDaemonPushesAgain(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, store := range []servers.Store{servers.Classic, servers.Graph, servers.Containerd} {
		t.Run(string(store), func(t *testing.T) {
			e, g := engine(t, store), gitea(t)
			cutter := interfere.StartCutter(t, g.Host)
			_, port, err := net.SplitHostPort(cutter.Address())
			servers.Need(t, err)
			host := "localhost:" + port
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			env := append(e.Env(), "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
			tag := name + "/app:1"
			servers.Need(t, e.Build(t.Context(), tag, samples.BuildContext(t, 43, 20<<20)))
			cutter.Arm(12<<20, interfere.Reset)
			out := run(t, env, "bash", "-c", `"$0" gitea push --via daemon --progress plain "$1" "$DOCKER_GITEA_HOST/$1" 2>&1`, plugin, tag)
			if _, cut := cutter.Count(); !cut || !strings.Contains(out, "Retrying") {
				t.Errorf("the connection was not cut in the middle: %s", out)
			}
			assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag), pullWithSkopeo(t, g.Server, name, g.Host+"/"+tag))
		})
	}
}

// mostToFallBack is how much longer than an export a push may take that has to find out
// that it is one.
const mostToFallBack = 2 * time.Second

// TestDaemonInAnotherNetwork has an engine whose 127.0.0.1 is not the test's:
// by itself a push notices, and exports; one that may not says why.
func TestDaemonInAnotherNetwork(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		t.Run(string(store), func(t *testing.T) {
			e, err := servers.StartEngine(t.Context(), store, servers.EngineOptions{OwnNetwork: true})
			if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
				t.Skipf("no network of its own for an engine: %v", err)
			}
			servers.Need(t, err)
			t.Cleanup(func() { stop(t, e.Stop) })
			g := gitea(t)
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			env := append(e.Env(), "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+g.Host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
			dir := samples.BuildContext(t, 44, 1<<20)
			tag := name + "/app:1"
			servers.Need(t, e.Build(t.Context(), tag, dir))
			out := run(t, env, "bash", "-c", `if "$0" gitea push --via daemon "$1" "$DOCKER_GITEA_HOST/$1" 2>&1; then exit 1; fi`, plugin, tag)
			t.Log(out)
			for _, want := range []string{"the daemon could not push: it does not reach 127.0.0.1 of this machine", "connection refused", "hint: --via export"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in the output: %s", want, out)
				}
			}
			push := func() string {
				began := time.Now()
				out := run(t, env, "bash", "-c", `"$0" gitea push --progress plain "$1" "$DOCKER_GITEA_HOST/$1" 2>&1`, plugin, tag)
				took := time.Since(began)
				began = time.Now()
				run(t, env, "bash", "-c", `"$0" gitea push --via export "$1" "$DOCKER_GITEA_HOST/$1-exported" 2>&1`, plugin, tag)
				if more := took - time.Since(began); more > mostToFallBack {
					t.Errorf("it took %v more than --via export, want at most %v", more, mostToFallBack)
				}
				assertBlobs(t, pull(t, g.Server, name, servers.AdminPassword, g.Host+"/"+tag), pullWithSkopeo(t, g.Server, name, g.Host+"/"+tag))
				return out
			}
			push()
			addLayer(t, dir) // of which the classic store would push the rest quicker
			servers.Need(t, e.Build(t.Context(), tag, dir))
			if out := push(); strings.Count(out, "the daemon cannot push: it does not reach") != 1 || !strings.Contains(out, "already exists") {
				t.Errorf("pushed one more layer: %s", out)
			}
			names, err := e.Run(t.Context(), "images", "--all", "--digests")
			servers.Need(t, err)
			if strings.Contains(names, "docker-gitea-") {
				t.Errorf("left behind: %s", names)
			}
		})
	}
}

// TestKilledPush kills a push while the daemon sends a layer. The next push,
// whatever it pushes and however, removes the name that is left; while the
// first one lived it did not.
func TestKilledPush(t *testing.T) {
	plugin := filepath.Join(pluginDir(t), "docker-gitea")
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		t.Run(string(store), func(t *testing.T) {
			e, g := engine(t, store), gitea(t)
			cutter := interfere.StartCutter(t, g.Host)
			_, port, err := net.SplitHostPort(cutter.Address())
			servers.Need(t, err)
			name := newUser(t, g)
			token, err := g.CreateToken(t.Context(), name, "write:package")
			servers.Need(t, err)
			large, small := name+"/large:1", name+"/small:1"
			servers.Need(t, e.Build(t.Context(), large, samples.BuildContext(t, 45, 20<<20)))
			servers.Need(t, e.Build(t.Context(), small, samples.BuildContext(t, 46, 1000)))
			push := func(host, tag, way string) *exec.Cmd {
				cmd := exec.CommandContext(t.Context(), plugin, "gitea", "push", "--via", way, tag, host+"/"+tag)
				cmd.Env = append(e.Env(), "HOME="+t.TempDir(), "DOCKER_GITEA_HOST="+host, "DOCKER_GITEA_TOKEN="+token, "DOCKER_GITEA_CA_FILE="+g.CAFile)
				return cmd
			}
			left := func() string {
				if out, err := push(g.Host, small, "export").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				names, err := e.Run(t.Context(), "images", "--format", "{{.Repository}}", "127.0.0.1:*/*")
				servers.Need(t, err)
				return names
			}
			cutter.Arm(8<<20, interfere.Stall)
			first := push("localhost:"+port, large, "daemon")
			servers.Need(t, first.Start())
			for cut := false; !cut; _, cut = cutter.Count() {
				select {
				case <-time.After(5 * time.Millisecond):
				case <-t.Context().Done():
					t.Fatal("the push never reached the cut")
				}
			}
			// The containerd store needs no name any more.
			if names := left(); names == "" && store == servers.Classic {
				t.Error("the name of a push that goes on was removed")
			}
			servers.Need(t, first.Process.Kill())
			_ = first.Wait() // it was killed
			if names := left(); names != "" {
				t.Errorf("left behind: %s", names)
			}
		})
	}
}
