package remote_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/internal/passersby"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// passerby answers every request in the same way.
type passerby struct {
	passersby.Answerer
	status   int
	location string
}

func (s passerby) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	w := httptest.NewRecorder()
	s.Serve(w, req, s.status, s.location)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// commands are what people do at a registry.
func commands(t *testing.T) map[string]func(context.Context, *remote.Client) error {
	t.Helper()
	dir := writeLayout(t, []byte("layer"))
	return map[string]func(context.Context, *remote.Client) error{
		"push": func(_ context.Context, c *remote.Client) error {
			return push(t, c, dir, registry.PushOptions{Retries: -1}) //nolint:contextcheck // it has that of the test
		},
		"check": func(ctx context.Context, c *remote.Client) error {
			for _, check := range c.Check(ctx, "alice/app") {
				if check.Outcome == registry.OutcomeFailed {
					return check.Err
				}
			}
			return nil
		},
		"health": func(ctx context.Context, c *remote.Client) error { return c.Health(ctx) },
		"login":  func(ctx context.Context, c *remote.Client) error { return c.Authenticate(ctx, secretAuth) },
		"ls":     func(ctx context.Context, c *remote.Client) error { _, err := c.Repositories(ctx); return err },
		"tags":   func(ctx context.Context, c *remote.Client) error { _, err := c.Tags(ctx, "alice/app"); return err },
		"inspect": func(ctx context.Context, c *remote.Client) error {
			_, err := c.Manifest(ctx, "alice/app", "1")
			return err
		},
		"rm": func(ctx context.Context, c *remote.Client) error { return c.Delete(ctx, "alice/app", "1") },
		"tag": func(ctx context.Context, c *remote.Client) error {
			_, err := c.Tag(ctx, "alice/app", "1", []string{"2"}, remote.TagOptions{})
			return err
		},
		"join": func(ctx context.Context, c *remote.Client) error {
			_, err := c.Join(ctx, "alice/app:1", []remote.Member{{Repository: "alice/app", Reference: "1-amd64"}}, remote.JoinOptions{})
			return err
		},
		"copy": func(ctx context.Context, c *remote.Client) error {
			_, err := c.Source(ctx, "alice/app", "1", nil)
			return err
		},
		"identity": func(ctx context.Context, c *remote.Client) error { _, err := c.Identity(ctx); return err },
		"blob": func(ctx context.Context, c *remote.Client) error {
			_, err := c.Config(ctx, "alice/app", digest.FromString("x"))
			return err
		},
	}
}

// comesFrom is where a credential may have come from.
var comesFrom = map[string]registry.AuthConfig{
	"none":     {},
	"variable": {Token: canary, Origin: registry.Origin{Kind: registry.OriginVariable, Name: "DOCKER_GITEA_TOKEN"}},
	"docker":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginDocker, Name: "git.example.com", File: "/home/alice/.docker/config.json"}},
	"helper":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginHelper, Name: "docker-credential-gitea"}},
	"option":   {Username: "alice", Password: canary, Origin: registry.Origin{Kind: registry.OriginOption, Name: "--password-stdin"}},
}

// TestWhoAnswered has everybody answer every status to every command, with a
// credential from everywhere.
func TestWhoAnswered(t *testing.T) {
	t.Parallel()
	commands := commands(t)
	for who, answerer := range passersby.All {
		for _, status := range passersby.Statuses() {
			want, ok := passersby.Want(who, status, "git.example.com")
			if !ok {
				continue // TestPortal has the rest
			}
			s := passerby{answerer, status, passersby.Location(status, "git.example.com")}
			for origin, auth := range comesFrom {
				for command, do := range commands {
					c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com", Auth: auth}, &remote.Options{
						Transport: s, Retries: -1, Backoff: func(int) time.Duration { return 0 },
					})
					if err != nil {
						t.Fatal(err)
					}
					cell := fmt.Sprintf("%s, %d, %s, credential from %s", who, status, command, origin)
					err = do(t.Context(), c)
					if err == nil {
						t.Errorf("%s: no error", cell)
						continue
					}
					d := registry.Diagnose(err)
					if !strings.Contains(d.Cause, want.Cause) || !strings.Contains(d.Hint, want.Hint) {
						t.Errorf("%s: got %v\n%+v, want\n%+v", cell, err, d, want)
					}
					if word := passersby.Misled.FindString(d.Cause + " " + d.Hint); word != "" {
						t.Errorf("%s: says %q in %+v", cell, word, d)
					}
				}
			}
		}
	}
}

// TestNameOfAnAnswerWithoutOne has a proxy fail that says its name in its pages alone:
// an answer without a body, as to a HEAD, has none, and that of another one counts.
func TestNameOfAnAnswerWithoutOne(t *testing.T) {
	t.Parallel()
	dir, cache := writeLayout(t, []byte("layer")), t.TempDir()
	srv := registrytest.Start(t, registrytest.Config{})
	push := func(c *remote.Client) error {
		source, err := image.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		return c.Push(t.Context(), "alice/app:1", registry.PushOptions{Source: source, Retries: -1})
	}
	if err := push(clientOf(t, srv, remote.Options{CacheDir: cache})); err != nil {
		t.Fatal(err)
	}
	failing := func(who string) registrytest.ActionFunc {
		return func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
			passersby.All[who].Serve(w, req, http.StatusServiceUnavailable, "")
		}
	}
	srv.Fault(registrytest.Rule{Path: "/tags/", Action: failing("haproxy")})
	srv.Fault(registrytest.Rule{Action: failing("nothing to see")})
	c := clientOf(t, srv, remote.Options{CacheDir: cache, Retries: -1})
	if cause := registry.Diagnose(push(c)).Cause; !strings.HasPrefix(cause, "something in front of ") {
		t.Errorf("before it said its name: %s", cause)
	}
	if _, err := c.Tags(t.Context(), "alice/app"); err == nil {
		t.Error("it does not fail")
	}
	if cause := registry.Diagnose(push(c)).Cause; !strings.HasPrefix(cause, "haproxy in front of ") {
		t.Errorf("after it said its name: %s", cause)
	}
}
