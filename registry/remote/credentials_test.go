package remote_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// calls has every method of a client that makes requests. It gives all that
// comes back.
var calls = map[string]func(t *testing.T, c *remote.Client, dir string) []any{
	"Push": func(t *testing.T, c *remote.Client, dir string) []any {
		t.Helper()
		var result registry.Result
		var events []any
		var mu sync.Mutex
		err := push(t, c, dir, registry.PushOptions{ChunkSize: 1 << 20, Retries: 1, Result: &result, Progress: func(e registry.Event) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, e)
		}})
		return append(events, result, err)
	},
	"Health": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return []any{c.Health(t.Context())}
	},
	"Check": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return []any{c.Check(t.Context(), "me/app")}
	},
	"Identity": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Identity(t.Context()))
	},
	"Authenticate": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return []any{c.Authenticate(t.Context(), secretAuth)}
	},
	"Tags": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Tags(t.Context(), "me/app"))
	},
	"Referrers": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Referrers(t.Context(), "me/app", digest.FromString("subject"), true))
	},
	"CopyReferrers": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.CopyReferrers(t.Context(), "me/app", remote.Member{Repository: "me/other"}, []digest.Digest{digest.FromString("subject")}, remote.ReferrersOptions{ByTag: true}))
	},
	"Repositories": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Repositories(t.Context()))
	},
	"Manifest": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Manifest(t.Context(), "me/app", "1"))
	},
	"ManifestDigest": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.ManifestDigest(t.Context(), "me/app", "1"))
	},
	"Delete": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return []any{c.Delete(t.Context(), "me/app", "1")}
	},
	"Config": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		data, err := c.Config(t.Context(), "me/app", digest.FromString("x"))
		return []any{len(data), err}
	},
	"Blob": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		r, err := c.Blob(t.Context(), "me/app", digest.FromString("x"))
		if err == nil {
			_, err = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			_ = r.Close()
		}
		return []any{err}
	},
	"Source": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		source, err := c.Source(t.Context(), "me/app", "1", nil)
		if err == nil {
			err = source.Close()
		}
		return []any{err}
	},
	"Becomes": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		source, err := c.Source(t.Context(), "me/app", "1", nil)
		if err != nil {
			return []any{err}
		}
		return []any{c.Becomes(source, image.Compression{}), source.Close()}
	},
	"Copy": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return []any{c.Copy(t.Context(), "me/app:2", remote.Member{Repository: "me/app", Reference: "1"}, registry.PushOptions{})}
	},
	"Tag": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Tag(t.Context(), "me/app", "1", []string{"2"}, remote.TagOptions{}))
	},
	"Join": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return list(c.Join(t.Context(), "me/app:2", []remote.Member{{Repository: "me/app", Reference: "1"}}, remote.JoinOptions{}))
	},
	"Ask": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return answered(c.Ask(t.Context(), http.MethodGet, "/v2/ask/api/v1/version"))
	},
	"Look": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		return answered(c.Look(t.Context(), "/app/api/v1/version"))
	},
	"Root": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		root, ok, err := c.Root(t.Context())
		return []any{root, ok, err}
	},
	"Origin": func(t *testing.T, c *remote.Client, _ string) []any { t.Helper(); return list(c.Origin(t.Context())) },
	"Host":   func(t *testing.T, c *remote.Client, _ string) []any { t.Helper(); return []any{c.Host()} },
	"Pushed": func(t *testing.T, c *remote.Client, _ string) []any { t.Helper(); return []any{c.Pushed(nil)} },
	"Certificates": func(t *testing.T, c *remote.Client, _ string) []any {
		t.Helper()
		_, err := c.Certificates(t.Context())
		return []any{err}
	},
}

func list[T any](v T, err error) []any { return []any{v, err} }

func answered(resp *http.Response, err error) []any {
	if err == nil {
		_ = resp.Body.Close()
	}
	return []any{err}
}

// A method without a call is not looked at by the tests below.
func TestEveryMethodIsCalled(t *testing.T) {
	t.Parallel()
	client := reflect.TypeFor[*remote.Client]()
	for method := range client.Methods() {
		if calls[method.Name] == nil {
			t.Errorf("there is no call of %s", method.Name)
		}
	}
}

// led are the ways in which a registry can lead to another place.
var led = map[string]func(w http.ResponseWriter, req *http.Request, to string) bool{
	"a redirect of all that is read": func(w http.ResponseWriter, req *http.Request, to string) bool {
		if req.Method != http.MethodGet && req.Method != http.MethodHead || !strings.Contains(req.URL.Path, "/app/") {
			return false
		}
		http.Redirect(w, req, to, http.StatusTemporaryRedirect)
		return true
	},
	"a redirect of everything": func(w http.ResponseWriter, _ *http.Request, to string) bool {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusPermanentRedirect)
		return true
	},
	"the place of uploads": func(w http.ResponseWriter, req *http.Request, to string) bool {
		if req.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusAccepted)
		return true
	},
	"the next page": func(w http.ResponseWriter, _ *http.Request, to string) bool {
		w.Header().Set("Link", "<"+to+`>; rel="next"`)
		_, _ = io.WriteString(w, `{"tags":["1"],"repositories":["me/app"]}`)
		return true
	},
}

// The credential goes to the registry alone, and not to other programs behind
// its name, or behind other names. What leads an upload elsewhere on the host is
// the registry's own word: the token goes there, which is good for no more than
// the push.
func TestCredentialsStayInTheRegistry(t *testing.T) {
	t.Parallel()
	for way, lead := range led {
		for _, to := range []string{"/app/x", "/v2/../app/x", "/v2/%2e%2e/app/x", "/v2/..%2fapp/x", `/v2/..\app/x`, "//HOST/app/x", "https://u:p@HOST/app/x", "OTHER/v2/x", "OTHER/app/x", "http://HOST/v2/x"} {
			for _, scheme := range []string{"Bearer", "Basic"} {
				t.Run(fmt.Sprintf("%s: %s, %s", way, to, scheme), func(t *testing.T) {
					t.Parallel()
					other := start(t, nil)
					base := bearer(own, func() string { return "t1" })
					var mu sync.Mutex
					var leaks []string
					s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
						header := req.Header.Get("Authorization")
						if !strings.HasPrefix(req.URL.Path, "/v2/") || strings.Contains(req.URL.Path, "..") {
							upload := way == "the place of uploads" && strings.HasPrefix(header, "Bearer ")
							if header != "" && !upload {
								mu.Lock()
								leaks = append(leaks, req.Method+" "+req.URL.Path+" "+header)
								mu.Unlock()
							}
							w.Header().Add("WWW-Authenticate", `Basic realm="app"`)
							w.Header().Add("WWW-Authenticate", `Bearer realm="/app/token",service="container_registry"`)
							w.WriteHeader(http.StatusUnauthorized)
							return true
						}
						if scheme == "Bearer" && base(w, req) {
							return true
						}
						if _, password, _ := req.BasicAuth(); scheme == "Basic" && password != canary {
							w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
							w.WriteHeader(http.StatusUnauthorized)
							return true
						}
						return lead(w, req, strings.NewReplacer("HOST", req.Host, "OTHER", other.URL).Replace(to))
					})
					s.alsoTrust(t, other)
					dir, c := writeLayout(t, []byte("x")), s.client(t, secretAuth)
					for name, call := range calls {
						call(t, c, dir)
						if len(leaks) > 0 {
							t.Fatalf("%s sent a credential to %q", name, leaks)
						}
					}
					if len(other.leaks) > 0 {
						t.Errorf("another host was sent a credential: %q", other.leaks)
					}
				})
			}
		}
	}
}

// Whatever a registry names as its token service, the credential goes to none
// but itself, and what there is elsewhere on the host has to be asked first.
func TestCredentialsAndRealms(t *testing.T) {
	t.Parallel()
	for realm, root := range map[string]string{
		"https://HOST/v2/token":         "",
		"https://HOST/forgejo/v2/token": "/forgejo",
		"HOST@OTHER/v2/token":           "",
		"@OTHER/v2/token":               "",
		"https://HOST@OTHER/v2/token":   "",
		"https://HOST/../x/v2/token":    "",
		"//OTHER//x/v2/token":           "",
	} {
		t.Run(realm, func(t *testing.T) {
			t.Parallel()
			other := start(t, nil)
			var mu sync.Mutex
			var sent []string
			s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
				mu.Lock()
				if req.Header.Get("Authorization") != "" {
					sent = append(sent, req.URL.Path)
				}
				mu.Unlock()
				named := strings.NewReplacer("HOST", req.Host, "OTHER", strings.TrimPrefix(other.URL, "https://")).Replace(realm)
				w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q,service=%q", named, "container_registry"))
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
			s.alsoTrust(t, other)
			c := s.client(t, secretAuth)
			if got, _, err := c.Root(t.Context()); got != root || err != nil {
				t.Errorf("got the root %q, %v, want %q", got, err, root)
			}
			c.Check(t.Context(), "me/app")
			for _, place := range sent {
				if place != "/v2/token" && (root == "" || place != root+"/v2/token") {
					t.Errorf("the credential went to %s", place)
				}
			}
			if len(sent) == 0 || len(other.seen) > 0 {
				t.Errorf("the registry was sent %v; the other host was asked %v", sent, other.seen)
			}
		})
	}
}

// The API of Gitea is asked with the credential where the registry is Gitea's,
// and what is there answers as the API does. Elsewhere it is somebody else's.
func TestCredentialsAndTheAPI(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, service string
		status        int
		answer        string
		want          bool
	}{
		{"Gitea", "container_registry", http.StatusOK, `{"version":"1.26.0"}`, true},
		{"Gitea, for members alone", "container_registry", http.StatusForbidden, `{"message":"Only signed in user is allowed to call APIs."}`, true},
		{"another registry", "harbor-registry", http.StatusOK, `{"version":"1.26.0"}`, false},
		{"a page", "container_registry", http.StatusOK, `<html>`, false},
		{"a refusal of somebody else", "container_registry", http.StatusForbidden, `{}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			asked := false
			s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
				if strings.HasPrefix(req.URL.Path, "/api/") {
					mu.Lock()
					asked = asked || req.Header.Get("Authorization") != ""
					mu.Unlock()
					w.WriteHeader(tc.status)
					_, _ = io.WriteString(w, tc.answer)
					return true
				}
				w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer realm=%q,service=%q", "https://"+req.Host+"/v2/token", tc.service))
				w.WriteHeader(http.StatusUnauthorized)
				return true
			})
			_ = s.client(t, secretAuth).Check(context.WithoutCancel(t.Context()), "me/app")
			if asked != tc.want {
				t.Errorf("the API was asked with the credential: %v, want %v", asked, tc.want)
			}
		})
	}
}

// A request that is led elsewhere does not tell where it comes from: the query
// of the first address may be somebody's signature.
func TestRedirectsTellNoAddress(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	other := start(t, func(_ http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		told = slices.Concat(told, req.Header.Values("Referer"), req.Header.Values("Cookie"), req.Header.Values("Authorization"))
		return true
	})
	s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: canary})
		if req.URL.Query().Get("signature") == "" {
			http.Redirect(w, req, "/v2/signed?signature="+canary, http.StatusTemporaryRedirect)
			return true
		}
		http.Redirect(w, req, strings.Replace(other.URL, "https://", "https://u:"+canary+"@", 1)+"/x", http.StatusTemporaryRedirect)
		return true
	})
	s.alsoTrust(t, other)
	_, _ = s.client(t, registry.AuthConfig{}).Tags(t.Context(), "me/app")
	if len(told) > 0 || len(other.seen) == 0 {
		t.Errorf("seen %v; told %q", other.seen, told)
	}
}
