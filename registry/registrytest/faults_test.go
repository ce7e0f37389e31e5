package registrytest_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// TestCut shows what a cut leaves behind: a session that is lost when the
// registry saw part of the body, one that is whole when a proxy kept it.
func TestCut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cut  registrytest.Cut
		want int // status of the same chunk, sent again
	}{
		"seen":     {registrytest.Cut{After: 3}, http.StatusInternalServerError},
		"reset":    {registrytest.Cut{After: 3, Reset: true}, http.StatusInternalServerError},
		"unseen":   {registrytest.Cut{After: 3, Withhold: true}, http.StatusAccepted},
		"at once":  {registrytest.Cut{}, http.StatusAccepted},
		"too late": {registrytest.Cut{After: 100}, http.StatusBadRequest}, // the chunk arrived; a second one needs a range
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			fault := srv.Fault(registrytest.Rule{Method: "PATCH", Times: 1, Action: test.cut})
			upload := begin(t, srv)
			if got := exchange(t, srv, "PATCH", upload, "abcdef"); got.err == nil {
				t.Errorf("got %d, want a cut connection", got.status)
			}
			got := exchange(t, srv, "PATCH", upload, "abcdef")
			if got.status != test.want {
				t.Errorf("got %d, want %d", got.status, test.want)
			}
			if got.status == http.StatusInternalServerError && got.body != "" {
				t.Errorf("got body %q, want none", got.body)
			}
			if got := exchange(t, srv, "DELETE", upload, ""); got.status != http.StatusNoContent || srv.OpenSessions() != 0 {
				t.Errorf("give up: got %d and %d sessions, want 204 and none", got.status, srv.OpenSessions())
			}
			if fault.Hits() != 1 {
				t.Errorf("got %d hits, want 1", fault.Hits())
			}
		})
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	blob := strings.Repeat("x", 1<<20)
	d := digest.FromString(blob).String()
	open := make(chan struct{})
	close(open)
	tests := map[string]struct {
		action registrytest.Action
		status int // 0 means a broken connection
		check  func(answer) bool
		stored bool
	}{
		"answer": {
			action: registrytest.Answer{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"3"}}},
			status: http.StatusTooManyRequests,
			check:  func(a answer) bool { return a.header.Get("Retry-After") == "3" },
		},
		"early answer": {
			action: registrytest.Answer{Status: http.StatusRequestEntityTooLarge, Early: true},
			status: http.StatusRequestEntityTooLarge,
		},
		"proxy error": {
			action: registrytest.ProxyError(http.StatusBadGateway, "cloudflare"),
			status: http.StatusBadGateway,
			check: func(a answer) bool {
				return a.header.Get("Server") == "cloudflare" && a.header.Get("Docker-Distribution-Api-Version") == ""
			},
		},
		"empty error": {
			action: registrytest.EmptyError(http.StatusInternalServerError),
			status: http.StatusInternalServerError,
			check:  func(a answer) bool { return a.body == "" },
		},
		"endless answer": {
			action: registrytest.Answer{Status: http.StatusBadRequest, Body: "\x1b[2J", Endless: true},
			status: http.StatusBadRequest,
			check:  func(a answer) bool { return len(a.body) == 1<<20 },
		},
		"late error": {
			action: registrytest.Late{Action: registrytest.ProxyError(http.StatusGatewayTimeout, "")},
			status: http.StatusGatewayTimeout, stored: true,
		},
		"lost answer": {action: registrytest.Late{}, stored: true},
		"edited answer": {
			action: registrytest.Edit(func(h http.Header) { h.Set("Docker-Content-Digest", "sha256:0") }),
			status: http.StatusCreated, stored: true,
			check: func(a answer) bool { return a.header.Get("Docker-Content-Digest") == "sha256:0" },
		},
		"held body":   {action: registrytest.Hold{After: 10, Until: open}, status: http.StatusCreated, stored: true},
		"held answer": {action: registrytest.Hold{After: -1, Until: open}, status: http.StatusCreated, stored: true},
		"raw": {action: registrytest.Raw(func(c net.Conn) {
			_, _ = c.Write([]byte("no HTTP\r\n\r\n"))
		})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.Start(t, registrytest.Config{})
			srv.Fault(registrytest.Rule{Path: `\?digest=`, Times: 1, Action: test.action})
			got := exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/?digest="+d, blob, "Content-Type", octets)
			if got.status != test.status || (got.err == nil) != (test.status != 0) {
				t.Errorf("got %d, %v, want %d", got.status, got.err, test.status)
			}
			if test.check != nil && !test.check(got) {
				t.Errorf("got %d %v %.80q", got.status, got.header, got.body)
			}
			if _, ok := srv.HasBlob("alice/app", digest.FromString(blob)); ok != test.stored {
				t.Errorf("got the blob stored: %t, want %t", ok, test.stored)
			}
		})
	}
}

// TestHoldEnds shows that a test cannot hang on a request that is held.
func TestHoldEnds(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	arrived := make(chan struct{})
	srv.Fault(registrytest.Rule{
		Match:  func(*http.Request) bool { close(arrived); return true },
		Action: registrytest.Hold{},
	})
	done := make(chan answer)
	go func() { done <- exchange(t, srv, "POST", "/v2/alice/app/blobs/uploads/", "") }()
	<-arrived
	srv.Close()
	if got := <-done; got.status == http.StatusOK {
		t.Errorf("got %d, want none", got.status)
	}
}

func TestRulesCount(t *testing.T) {
	t.Parallel()
	srv := registrytest.Start(t, registrytest.Config{})
	srv.Fault(registrytest.Rule{Method: "GET", Path: "^/v2/", Skip: 1, Times: 2, Action: registrytest.Answer{Status: http.StatusTeapot}})
	var got []int
	for range 4 {
		got = append(got, exchange(t, srv, "GET", "/v2/", "").status)
	}
	if want := []int{200, 418, 418, 200}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	srv.ClearFaults()
}

func TestProxy(t *testing.T) {
	t.Parallel()
	for _, buffered := range []bool{false, true} {
		srv := registrytest.Start(t, registrytest.Config{Proxy: &registrytest.Proxy{MaxBody: 10, Buffered: buffered}})
		upload := begin(t, srv)
		for body, want := range map[string]int{"more than ten bytes": http.StatusRequestEntityTooLarge, "ten bytes.": http.StatusAccepted} {
			got := exchange(t, srv, "PATCH", upload, body)
			if got.status != want {
				t.Errorf("buffered %t, %d bytes: got %d, want %d", buffered, len(body), got.status, want)
			}
			if want == http.StatusRequestEntityTooLarge && got.header.Get("Server") != "nginx" {
				t.Errorf("got server %q, want nginx", got.header.Get("Server"))
			}
		}
	}
}
