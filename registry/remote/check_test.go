package remote_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// unwell are the checks that are not ok, as "name outcome cause".
func unwell(checks []registry.Check) string {
	var all []string
	for _, c := range checks {
		if c.Outcome != registry.OutcomeOK {
			all = append(all, c.Name+" "+string(c.Outcome)+": "+c.Cause)
		}
	}
	return strings.Join(all, "\n")
}

// What a real Gitea cannot be brought to do; the rest is tested with one.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		config registrytest.Config
		rule   *registrytest.Rule
		auth   registry.AuthConfig
		want   string
	}{
		{name: "all well"},
		{name: "a registry without a login", config: registrytest.Config{Flavor: registrytest.Distribution, Auth: registrytest.AuthNone}},
		{
			name: "the clock", rule: &registrytest.Rule{Method: "GET", Path: "/v2/$", Times: 1, Action: registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
				next.ServeHTTP(w, req)
			})},
			want: "clock warning: tokens and certificates are valid for a time",
		},
		{
			name: "the token of a job", config: registrytest.Config{ActionsToken: "job-token"}, auth: registry.AuthConfig{Token: "job-token"},
			want: "login failed: ",
		},
		{
			name: "a proxy in the way", rule: &registrytest.Rule{Method: "POST", Path: "uploads", Action: registrytest.ProxyError(http.StatusForbidden, "cloudflare")},
			want: "owner failed: cloudflare in front of 127.0.0.1",
		},
		{
			name: "a limit of the proxy", config: registrytest.Config{Proxy: &registrytest.Proxy{MaxBody: 100_000, Server: "cloudflare"}},
			want: "upload limit warning: a request body was larger than cloudflare in front of",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, tc.config)
			config := srv.Config()
			if !tc.auth.IsZero() {
				config.Auth = tc.auth
			}
			if tc.rule != nil {
				srv.Fault(*tc.rule)
			}
			c, err := remote.New(config, &remote.Options{Backoff: func(int) time.Duration { return 0 }})
			if err != nil {
				t.Fatal(err)
			}
			checks := c.Check(t.Context(), registrytest.Username+"/app")
			got := unwell(checks)
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q\n%+v", got, tc.want, checks)
			}
			if open := srv.OpenSessions(); open != 0 {
				t.Errorf("%d uploads are left", open)
			}
		})
	}
}

func TestCheckRefusesNames(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	c, err := remote.New(srv.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	checks := c.Check(t.Context(), "alice/My__App")
	if len(checks) != 1 || !errors.Is(checks[0].Err, registry.ErrNameInvalid) || !strings.Contains(checks[0].Detail, "alice/my_app") {
		t.Errorf("got %+v", checks)
	}
}
