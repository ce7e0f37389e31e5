package remote_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// What a registry cannot is tried once: neither the client that found it out
// tries it again, nor another with the same cache. What it can is tried by all.
func TestWaysAreTriedOnce(t *testing.T) {
	t.Parallel()
	refused := registrytest.EmptyError(http.StatusExpectationFailed)
	refused.Early = true
	for name, row := range map[string]struct {
		flavor registrytest.Flavor
		action registrytest.Action // in answer to Expect
		// timeout is how long a client waits for "100 Continue". Where that does
		// not come, a nanosecond is as good as any time.
		timeout time.Duration
		// expect and single are how many requests ask first, and how many begin
		// with the blob itself: of two clients with one cache, and of one without.
		expect, single [3]int
	}{
		"never told to go on":      {registrytest.Distribution, registrytest.Unprompted{}, time.Nanosecond, [3]int{1, 0, 1}, [3]int{1, 0, 1}},
		"told to go on":            {registrytest.Distribution, nil, time.Hour, [3]int{1, 0, 1}, [3]int{1, 0, 1}}, // a session takes its body at once
		"Expect is refused":        {registrytest.Distribution, refused, time.Hour, [3]int{1, 0, 1}, [3]int{2, 0, 2}},
		"Gitea, never told":        {registrytest.Gitea, registrytest.Unprompted{}, time.Nanosecond, [3]int{2, 2, 2}, [3]int{3, 2, 3}}, // it is busy
		"Gitea, Expect is refused": {registrytest.Gitea, refused, time.Hour, [3]int{1, 0, 1}, [3]int{4, 2, 4}},                         // by a proxy
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{Flavor: row.flavor, Users: me})
			if row.action != nil {
				srv.Registry.Fault(registrytest.Rule{Match: func(req *http.Request) bool { return req.Header.Get("Expect") != "" }, Action: row.action})
			}
			cache := t.TempDir()
			for i, c := range []string{cache, cache, ""} {
				srv.Registry.ResetLog()
				layers := [][]byte{noise(t, byte(2*i), 100_000), noise(t, byte(2*i+1), 100_000)}
				if err := push(t, patientClient(t, srv, row.timeout, c), writeLayout(t, layers...), registry.PushOptions{Jobs: 1}); err != nil {
					t.Fatal(err)
				}
				expect, single := 0, 0
				for _, req := range srv.Registry.Requests("", "/blobs/") {
					if req.Expect {
						expect++
					}
					if req.Method == http.MethodPost && req.Query.Has("digest") {
						single++
					}
				}
				if expect != row.expect[i] || single != row.single[i] {
					t.Errorf("client %d: %d requests asked first, want %d; %d began with the blob, want %d", i, expect, row.expect[i], single, row.single[i])
				}
			}
		})
	}
}

// patientClient is a client that waits so long for "100 Continue".
func patientClient(t *testing.T, srv *registrytest.Server, timeout time.Duration, cache string) *remote.Client {
	t.Helper()
	transport, err := transport.New(srv.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	own, err := transport.To(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	own.ExpectContinueTimeout = timeout
	c, err := remote.New(srv.Config(), &remote.Options{Transport: transport, CacheDir: cache, Backoff: func(int) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The first byte of a layer leaves before the second round trip after the token: the
// registry has begun the session, and is not asked whether it takes the body.
func TestFirstByte(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{Users: me})
	layer := noise(t, 1, 5<<20) // more than goes in one request
	if err := push(t, clientOf(t, srv, remote.Options{}), writeLayout(t, layer), registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	began := 0
	for _, req := range srv.Registry.Requests(http.MethodPut, "/blobs/uploads/") {
		if req.Body >= int64(len(layer)) {
			began++
		}
		if req.Expect {
			t.Errorf("%s %s asked whether the registry takes its body", req.Method, req.Path)
		}
	}
	if began != 1 {
		t.Errorf("the layer went %d times in the request that ends its session, want once", began)
	}
	if n := len(srv.Registry.Requests(http.MethodHead, "/blobs/")); n != 0 {
		t.Errorf("%d blobs were asked for, want none", n)
	}
}
