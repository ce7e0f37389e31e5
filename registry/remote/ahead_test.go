package remote_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// The connections that blobs will have are made while the registry is asked for a token:
// as many as blobs travel side by side, and none for an image that is there.
func TestConnectionsAreMadeAhead(t *testing.T) {
	t.Parallel()
	for jobs, want := range map[int]int32{0: registry.DefaultJobs, 2: 2, 1: 1} {
		var made atomic.Int32
		all := make(chan struct{})
		fake := registrytest.New(registrytest.Config{Users: me})
		srv := httptest.NewUnstartedServer(fake)
		// None is ready before all are made: the token would be asked for on one that is.
		srv.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			select {
			case <-all:
			case <-time.After(20 * time.Second): // the test has failed
				t.Errorf("%d jobs: %d connections before the token is there", jobs, made.Load())
			}
			return nil, nil //nolint:nilnil // the server's own
		}}
		srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew && made.Add(1) == want {
				close(all)
			}
		}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		config := registry.RegistryConfig{URL: srv.URL, CertDirs: []string{}, Insecure: true, Auth: registry.AuthConfig{Username: "me", Password: canary}}
		dir, cache := writeLayout(t, []byte("1"), []byte("2"), []byte("3"), []byte("4")), t.TempDir()
		for again := range 2 {
			before := made.Load()
			c, err := remote.New(config, &remote.Options{CacheDir: cache})
			if err == nil {
				err = push(t, c, dir, registry.PushOptions{Jobs: jobs})
			}
			if err != nil {
				t.Fatal(err)
			}
			if more := made.Load() - before; again > 0 && more != 1 {
				t.Errorf("%d jobs: %d connections to ask whether the image is there", jobs, more)
			}
		}
	}
}
