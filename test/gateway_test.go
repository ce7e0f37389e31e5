//go:build e2e

package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The faults of a [gateway], which knows requests. A number is the status that
// it answers in the registry's place, before it has read the request's body;
// those with "late" at the end, after that.
const (
	fault401     fault = "401"
	fault404     fault = "404"
	fault413     fault = "413"
	fault429     fault = "429 with Retry-After"
	fault500     fault = "500"
	fault502     fault = "502"
	fault401Late fault = "401 late"
	fault500Late fault = "500 late"
	// fault504 passes the request on and answers that the registry did not.
	fault504 fault = "504 after forwarding"
	// faultLost passes the request on and closes instead of answering.
	faultLost fault = "lost answer"
	// faultTruncated sends half of the answer.
	faultTruncated fault = "truncated answer"
	// faultReorder holds the request back until a later one is answered.
	faultReorder fault = "reorder"
	// faultCancelRequest cancels the push when the registry has the header of
	// the request, faultCancelAnswer when it has answered.
	faultCancelRequest fault = "cancelled with a request"
	faultCancelAnswer  fault = "cancelled with an answer"
)

// requestFaults are those with which pushes are swept.
var requestFaults = []fault{
	fault401, fault404, fault413, fault429, fault500, fault502, fault401Late, fault500Late,
	fault504, faultLost, faultTruncated, faultReorder,
}

// heldBack is how long a [faultReorder] waits for another request.
const heldBack = 100 * time.Millisecond

// gateway is an HTTP proxy that interferes once, with a given request.
type gateway struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	// challenge is that of a 401.
	challenge string
	// strike cancels the push.
	strike context.CancelFunc

	// mu guards the fields below.
	mu     sync.Mutex
	at     int64 // the request; negative means never
	kind   fault
	passed int64
	done   bool          // the fault is there
	next   chan struct{} // closed when a request is answered after that
	cut    int           // requests whose body the client has cut off
}

func startGateway(t *testing.T, upstream, challenge string) *gateway {
	t.Helper()
	target, err := url.Parse("http://" + upstream)
	servers.Need(t, err)
	transport := &http.Transport{ExpectContinueTimeout: time.Second}
	g := &gateway{challenge: challenge, at: -1, next: make(chan struct{})}
	g.proxy = &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // in which the registry names its sessions
		},
	}
	g.server = httptest.NewServer(g)
	g.server.Config.ErrorLog = g.proxy.ErrorLog
	t.Cleanup(func() {
		g.server.CloseClientConnections()
		g.server.Close()
		transport.CloseIdleConnections()
	})
	return g
}

func (g *gateway) address() string { return g.server.Listener.Addr().String() }

// place goes through the requests evenly, and through the faults in turn.
func (g *gateway) place(i, n int, total int64) (int64, fault) {
	return total * int64(i) / int64(n), requestFaults[i%len(requestFaults)]
}

// arm has the next requests counted from 0, and the one at position at met with kind.
func (g *gateway) arm(at int64, kind fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.kind, g.passed, g.done, g.next, g.cut = at, kind, 0, false, make(chan struct{}), 0
}

func (g *gateway) disarm() { g.arm(-1, "") }

// count says how many requests came since [gateway.arm], and whether the fault did.
func (g *gateway) count() (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed, g.done
}

// cuts is how many requests since [gateway.arm] were cut within their body.
func (g *gateway) cuts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cut
}

// watched is a request body whose end before its time is counted.
type watched struct {
	io.ReadCloser
	gateway *gateway
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		w.gateway.mu.Lock()
		defer w.gateway.mu.Unlock()
		w.gateway.cut++
	}
	return n, err
}

// take counts a request and says what to do with it.
func (g *gateway) take() (kind fault, next chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed++
	if g.passed-1 != g.at {
		return "", nil
	}
	g.done = true
	return g.kind, g.next
}

// answered lets go of a request that is held back.
func (g *gateway) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done && g.next != nil {
		close(g.next)
		g.next = nil
	}
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, next := g.take()
	req.Body = watched{req.Body, g}
	switch kind {
	case "":
		g.proxy.ServeHTTP(w, req)
		g.answered()
	case faultReorder:
		select {
		case <-next:
		case <-time.After(heldBack):
		case <-req.Context().Done():
		}
		g.proxy.ServeHTTP(w, req)
	case faultCancelRequest:
		g.strike()
		g.proxy.ServeHTTP(w, req)
	case faultCancelAnswer:
		answer := recorder{httptest.NewRecorder(), w}
		g.proxy.ServeHTTP(answer, req)
		g.strike()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client may have gone
	case fault504, faultLost, faultTruncated:
		answer := recorder{httptest.NewRecorder(), w}
		g.proxy.ServeHTTP(answer, req)
		g.spoil(w, kind, answer.Result())
	case fault401Late, fault500Late:
		_, _ = io.Copy(io.Discard, req.Body)
		g.impose(w, req, kind)
	default:
		g.impose(w, req, kind)
	}
}

// recorder keeps an answer, but not that the client may go on ("100 Continue").
type recorder struct {
	*httptest.ResponseRecorder
	w http.ResponseWriter
}

func (r recorder) WriteHeader(status int) {
	if status < http.StatusOK {
		r.w.WriteHeader(status)
		return
	}
	r.ResponseRecorder.WriteHeader(status)
}

// spoil answers otherwise than the registry did.
func (g *gateway) spoil(w http.ResponseWriter, kind fault, resp *http.Response) {
	if kind == fault504 {
		http.Error(w, "Gateway Timeout", http.StatusGatewayTimeout)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the client has gone
	}
	defer conn.Close()
	if kind == faultTruncated {
		whole, _ := httputil.DumpResponse(resp, true) // from memory
		_, _ = conn.Write(whole[:len(whole)/2])
	}
}

// impose answers in the registry's place, as it or a proxy would.
func (g *gateway) impose(w http.ResponseWriter, req *http.Request, kind fault) {
	switch kind {
	case fault401, fault401Late:
		w.Header().Set("WWW-Authenticate", g.challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	case fault404:
		code := "MANIFEST_UNKNOWN"
		if strings.Contains(req.URL.Path, "/blobs/") {
			code = "BLOB_UPLOAD_UNKNOWN"
		}
		refuse(w, http.StatusNotFound, code)
	case fault413:
		w.Header().Set("Server", "nginx")
		http.Error(w, "<html><h1>413 Request Entity Too Large</h1></html>", http.StatusRequestEntityTooLarge)
	case fault429:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too Many Requests", http.StatusTooManyRequests)
	case fault500, fault500Late:
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.WriteHeader(http.StatusInternalServerError) // as Gitea's
	case fault502:
		w.Header().Set("Server", "nginx")
		http.Error(w, "Bad Gateway", http.StatusBadGateway)
	default:
		panic("no answer for the fault " + kind)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":""}]}`, code)
}
