package remote_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// A registry like Docker Hub has its token service on another host, and a limit of
// hours on what is pulled. The limit is told with the time until it ends, and is not
// waited for.
func TestRateLimitOfHours(t *testing.T) {
	t.Parallel()
	tokens := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if got, want := req.URL.Query().Get("scope"), "repository:library/app:pull"; got != want {
			t.Errorf("scope %q, want %q", got, want)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"token":"of-the-other-host"}`))
	})
	var asked atomic.Int64
	hub := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		if req.Header.Get("Authorization") != "Bearer of-the-other-host" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/app:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(req.URL.Path, "/manifests/") {
			asked.Add(1)
			w.Header().Set("Retry-After", "21540")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}`))
		}
	})
	from, err := remote.New(registry.RegistryConfig{URL: "registry-1.docker.io"}, &remote.Options{Transport: hosts{"registry-1.docker.io": hub, "auth.docker.io": tokens}})
	if err != nil {
		t.Fatal(err)
	}
	to := registrytest.Start(t, registrytest.Config{Users: me})
	err = clientOf(t, to, remote.Options{}).Copy(t.Context(), "me/app:1", remote.Member{Client: from, Repository: "library/app", Reference: "1"}, registry.PushOptions{})
	if want := "TOOMANYREQUESTS: You have reached your pull rate limit. (the limit ends in 5h59m0s)"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if asked.Load() != 1 || len(to.Registry.Requests("", "/blobs/")) > 0 {
		t.Errorf("asked %d times, and sent %d", asked.Load(), len(to.Registry.Requests("", "/blobs/")))
	}
}

// hosts answer without a network.
type hosts map[string]http.Handler

// RoundTrip implements [http.RoundTripper].
func (h hosts) RoundTrip(req *http.Request) (*http.Response, error) {
	if h[req.URL.Host] == nil {
		return nil, fmt.Errorf("no such host: %s", req.URL.Host)
	}
	w := httptest.NewRecorder()
	h[req.URL.Host].ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}
