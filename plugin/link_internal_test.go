package plugin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// Forgejo 11 to 14 look for the escaped name of a package (routers/api/v1/packages/package.go,
// LinkPackage, takes it with PathParamRaw).
func TestLinkOfNestedNames(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := func(status int, body string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch path := req.URL.EscapedPath(); {
		case path == "/v2/":
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/v2/token",service="container_registry",scope="*"`)
			answer(http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED"}]}`)
		case path == "/api/v1/version":
			answer(http.StatusOK, `{"version":"14.0.5+gitea-1.22.0"}`)
		case path == "/api/v1/packages/me":
			answer(http.StatusOK, `[{"name":"team/app","version":"1","type":"container"},{"name":"app","version":"1","type":"container"}]`)
		case strings.Contains(path, "/team%2Fapp/-/link/"):
			answer(http.StatusNotFound, `{"message":"package does not exist"}`)
		default:
			answer(http.StatusNotFound, `{"message":"repository does not exist"}`)
		}
	}))
	t.Cleanup(server.Close)
	client, err := remote.New(registry.RegistryConfig{URL: server.URL}, &remote.Options{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"team/app": "links images whose name has a slash on their pages alone",
		"app":      "there is no repository me/shop",
	} {
		r := target.Remote{Host: client.Host(), Owner: "me", Name: name}
		if got := link(t.Context(), client, r, "shop"); got.Err == nil || !strings.Contains(got.Err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, got.Err, want)
		}
	}
}
