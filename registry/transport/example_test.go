package transport_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// A transport is for one registry. It gives up a connection on which nothing
// moves for a minute.
func ExampleNew() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	t, err := transport.New(registry.RegistryConfig{URL: server.URL}, &transport.Options{StallTimeout: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t}).Get(server.URL + "/v2/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status)
	// Output: 401 Unauthorized
}
