package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// origin is what the client knows the registry as; every other name, port or
// scheme is [elsewhere].
const origin = "git.example.com"

// elsewhere is every other origin, with and without TLS: it takes note of what
// it is asked, and answers as an obliging registry would.
type elsewhere struct {
	secure, plain *httptest.Server

	// mu guards the fields below.
	mu    sync.Mutex
	asked []string // method and URL
	leaks []string // requests with something that is nobody else's business
}

func startElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{}
	e.secure, e.plain = httptest.NewTLSServer(e), httptest.NewServer(e)
	t.Cleanup(func() {
		e.secure.Close()
		e.plain.Close()
	})
	return e
}

func (e *elsewhere) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	asked := req.Method + " " + req.Host + req.URL.String()
	leak := secretsIn(req)
	e.mu.Lock()
	e.asked = append(e.asked, asked)
	if leak != "" {
		e.leaks = append(e.leaks, asked+": "+leak)
	}
	e.mu.Unlock()
	_, _ = io.Copy(io.Discard, req.Body)
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	switch {
	case req.Method == http.MethodPut:
		w.WriteHeader(http.StatusCreated)
	case req.Method == http.MethodPatch:
		w.WriteHeader(http.StatusAccepted)
	case strings.HasSuffix(req.URL.Path, "/token"):
		_, _ = io.WriteString(w, `{"token":"elsewhere"}`)
	case req.Method == http.MethodGet, req.Method == http.MethodHead:
		w.Header().Set("WWW-Authenticate", `Basic realm="elsewhere"`)
		w.WriteHeader(http.StatusUnauthorized) // it would like to be told
	}
}

// secretsIn says what a request tells that it should not: nothing is the empty
// string. A Location may hold a user name of its own; the client's never shows.
func secretsIn(req *http.Request) string {
	text := fmt.Sprint(req.URL, req.Header)
	secrets := []string{canary, "Authorization", "Cookie"}
	for _, user := range []string{"alice", "token", ""} {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(user+":"+canary)))
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

// client reaches srv as [origin], and e as everything else.
func (e *elsewhere) client(t *testing.T, srv *registrytest.Server) *remote.Client {
	t.Helper()
	places := map[string]string{origin + ":443": srv.Host}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the other origins have no certificates of their names
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			place := places[address]
			if _, port, _ := net.SplitHostPort(address); place == "" && (port == "80" || port == "8080") {
				place = e.plain.Listener.Addr().String()
			} else if place == "" {
				place = e.secure.Listener.Addr().String()
			}
			return new(net.Dialer).DialContext(ctx, network, place)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	config := registry.RegistryConfig{URL: origin, Auth: registry.AuthConfig{Username: "alice", Password: canary}}
	c, err := remote.New(config, &remote.Options{Transport: transport, Backoff: func(int) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// origins are other origins that look like the registry's own.
var origins = map[string]string{
	"another host":    "https://evil.example.net",
	"sub-domain":      "https://evil.git.example.com",
	"parent domain":   "https://example.com",
	"prefix":          "https://git.example.com.evil.example.net",
	"another port":    "https://git.example.com:8443",
	"no TLS":          "http://git.example.com",
	"no TLS and port": "http://git.example.com:8080",
	"user info":       "https://git.example.com@evil.example.net",
	"user and secret": "https://git.example.com:443@evil.example.net",
	"look-alike":      "https://gіt.example.com",
	"punycode":        "https://xn--gt-wlc.example.com",
	"trailing dot":    "https://git.example.com.",
	"no scheme":       "//evil.example.net",
	"opaque":          "x:@evil.example.net",
	"backslashes":     `https:\\evil.example.net`,
	"an address":      "https://192.0.2.1",
}

// everything makes a client do all that it can, by each way of uploading, and
// does not care what comes of it.
func everything(t *testing.T, c *remote.Client, dir string) {
	t.Helper()
	ctx := t.Context()
	_ = c.Health(ctx)
	_, _ = c.Identity(ctx)
	_ = c.Check(ctx, "alice/app")
	_, _ = c.Repositories(ctx)
	for _, chunk := range []int64{1 << 20, 0} { // the second finds what the first sent
		source, err := image.Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Push(ctx, "alice/app:1", registry.PushOptions{Source: source, ChunkSize: chunk, Retries: 1})
		source.Close()
	}
	_, _ = c.Tags(ctx, "alice/app")
	_, _ = c.Manifest(ctx, "alice/app", "1")
	_ = c.Push(ctx, "alice/app:1", registry.PushOptions{ImageID: digest.FromString("x")})
}

// TestOtherOriginsLearnNothing redirects every kind of request, by every
// status, and has realms, locations and links name every kind of other origin.
// None is ever told a credential or a token.
func TestOtherOriginsLearnNothing(t *testing.T) {
	t.Parallel()
	dir := writeLayout(t, bytes.Repeat([]byte("x"), 1<<20+1))
	type lead struct {
		name, method, path string
		action             func(base string) registrytest.Action
		// one origin is enough: what follows is the same code for all
		one bool
	}
	redirect := func(status int) func(base string) registrytest.Action {
		return func(base string) registrytest.Action {
			return registrytest.ActionFunc(func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.Header().Set("Location", base+req.URL.RequestURI())
				w.WriteHeader(status)
			})
		}
	}
	edit := func(change func(h http.Header, base string)) func(base string) registrytest.Action {
		return func(base string) registrytest.Action {
			return registrytest.Edit(func(h http.Header) { change(h, base) })
		}
	}
	leads := []lead{
		{"realm", "", "", edit(func(h http.Header, base string) {
			if h.Get("WWW-Authenticate") != "" {
				h.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/v2/token",service="s",scope="*"`, base))
			}
		}), false},
		{"location of POST", http.MethodPost, "/blobs/uploads/", edit(func(h http.Header, base string) { h.Set("Location", base+"/v2/alice/app/blobs/uploads/1") }), false},
		{"location of PATCH", http.MethodPatch, "", edit(func(h http.Header, base string) { h.Set("Location", base+"/v2/alice/app/blobs/uploads/1") }), false},
		{"location of GET", http.MethodGet, "/blobs/uploads/", edit(func(h http.Header, base string) { h.Set("Location", base+"/upload/1?sig=1") }), false},
		{"link", "", "", edit(func(h http.Header, base string) {
			h.Set("Link", "<"+base+`/v2/alice/app/tags/list?last=a>; rel="next"`)
		}), false},
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, kind := range []struct{ name, method, path string }{
			{"ping", http.MethodGet, "^/v2/$"},
			{"token", http.MethodGet, "^/v2/token"},
			{"API", http.MethodGet, "^/api/"},
			{"POST", http.MethodPost, ""},
			{"PATCH", http.MethodPatch, ""},
			{"PUT of a blob", http.MethodPut, "/blobs/"},
			{"PUT of a manifest", http.MethodPut, "/manifests/"},
			{"HEAD", http.MethodHead, ""},
			{"GET of a manifest", http.MethodGet, "/manifests/"},
			{"DELETE", http.MethodDelete, ""},
		} {
			leads = append(leads, lead{fmt.Sprint(status, " to ", kind.name), kind.method, kind.path, redirect(status), status != http.StatusFound || kind.method != http.MethodGet})
		}
	}
	e := startElsewhere(t)
	var acted, asked int
	for _, l := range leads {
		for name, base := range origins {
			if l.one && name != "another host" && name != "no TLS" {
				continue
			}
			srv := registrytest.Start(t, registrytest.Config{
				Flavor: registrytest.Distribution,
				Users:  []registrytest.User{{Name: "alice", Password: canary}},
			})
			fault := srv.Registry.Fault(registrytest.Rule{Method: l.method, Path: l.path, Action: l.action(base)})
			everything(t, e.client(t, srv), dir)
			acted += fault.Hits()
			e.mu.Lock()
			asked += len(e.asked)
			if len(e.leaks) > 0 {
				t.Errorf("%s, %s: %q", l.name, name, e.leaks)
			}
			e.asked, e.leaks = nil, nil
			e.mu.Unlock()
			srv.Close()
		}
	}
	t.Logf("%d answers led elsewhere, %d requests went there", acted, asked)
	if acted < 5*len(leads) || asked < len(leads) {
		t.Errorf("%d answers led elsewhere, and %d requests went there: the test shows little", acted, asked)
	}
}
