package remote_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// process pushes an archive as a new process would, and counts the round trips
// that it takes: two for a connection with TLS, and one for each request, since
// on one connection there is one after the other.
func process(t *testing.T, srv *registrytest.Server, cache string, archive []byte, name string) (result registry.Result, rounds int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := image.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	transport, err := transport.New(srv.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	var connections atomic.Int64
	own, err := transport.To(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	dial := own.DialContext
	own.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections.Add(1)
		return dial(ctx, network, address)
	}
	c, err := remote.New(srv.Config(), &remote.Options{Transport: transport, CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Push(t.Context(), name, registry.PushOptions{Source: source, Result: &result}); err != nil {
		t.Fatal(err)
	}
	return result, 2*int(connections.Load()) + result.Requests
}

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	const layers = 60
	srv := registrytest.Start(t, registrytest.Config{})
	var content [][]byte
	for i := range layers {
		content = append(content, noise(t, byte(i), 100))
	}
	archive, _ := layout(t, content...)
	cache := t.TempDir()
	if first, _ := process(t, srv, cache, archive, "alice/app:1"); first.Requests > layers+4 {
		t.Errorf("the first push took %d requests, want at most %d", first.Requests, layers+4)
	}
	if again, rounds := process(t, srv, cache, archive, "alice/app:1"); rounds > 3 || again.BytesSent > 0 {
		t.Errorf("nothing changed: %d round trips, want at most 3; %d bytes sent", rounds, again.BytesSent)
	}
	for name, c := range map[string]string{"another tag": cache, "nothing cached": ""} {
		if again, _ := process(t, srv, c, archive, "alice/app:2"); again.Requests > 3 || again.BytesSent > 0 {
			t.Errorf("%s: %d requests, want at most 3; %d bytes sent", name, again.Requests, again.BytesSent)
		}
	}
}

// What an archive with raw layers is known by is no manifest to ask for.
func TestNobodyAsksForAConfigAsAManifest(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	archive, _ := saved(t, true, pack(t, entry{"file", noise(t, 1, 100)}))
	process(t, srv, t.TempDir(), archive, "alice/app:1")
	if asked := srv.Registry.Requests(http.MethodGet, "/manifests/"); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
}

// A registry that takes nothing but its tokens is asked once more with one.
func TestNothingChangedWithoutBasic(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Flavor: registrytest.Distribution})
	cache := t.TempDir()
	archive, want := layout(t, noise(t, 1, 100))
	process(t, srv, cache, archive, "alice/app:1")
	if again, _ := process(t, srv, cache, archive, "alice/app:1"); again.Digest != want || again.BytesSent > 0 || again.Requests > 4 {
		t.Errorf("nothing changed: %s with %d bytes in %d requests, want %s with none in at most 4", again.Digest, again.BytesSent, again.Requests, want)
	}
}

// A tag that somebody else has moved meanwhile is moved back.
func TestTagThatWasMoved(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	cache := t.TempDir()
	ours, want := layout(t, noise(t, 1, 100))
	theirs, _ := layout(t, noise(t, 2, 100))
	process(t, srv, cache, ours, "alice/app:1")
	process(t, srv, "", theirs, "alice/app:1")
	process(t, srv, cache, ours, "alice/app:1")
	if data, _, _ := srv.Registry.Manifest("alice/app", "1"); digest.FromBytes(data) != want {
		t.Errorf("the tag is %s, want %s", digest.FromBytes(data), want)
	}
}
