package interfere

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

// The faults of a [Gateway], which knows requests. A number is the status that
// it answers in the registry's place, before it has read the request's body;
// those with "late" at the end, after that.
const (
	Status401     Fault = "401"
	Status404     Fault = "404"
	Status413     Fault = "413"
	Status429     Fault = "429 with Retry-After"
	Status500     Fault = "500"
	Status502     Fault = "502"
	Status401Late Fault = "401 late"
	Status500Late Fault = "500 late"
	// Status504 passes the request on and answers that the registry did not.
	Status504 Fault = "504 after forwarding"
	// Lost passes the request on and closes instead of answering.
	Lost Fault = "lost answer"
	// Truncated sends half of the answer.
	Truncated Fault = "truncated answer"
	// Reorder holds the request back until a later one is answered.
	Reorder Fault = "reorder"
	// CancelRequest cancels the push when the registry has the header of
	// the request, CancelAnswer when it has answered.
	CancelRequest Fault = "cancelled with a request"
	CancelAnswer  Fault = "cancelled with an answer"
)

// requestFaults are those with which pushes are swept.
var requestFaults = []Fault{
	Status401, Status404, Status413, Status429, Status500, Status502, Status401Late, Status500Late,
	Status504, Lost, Truncated, Reorder,
}

// heldBack is how long a [Reorder] waits for another request.
const heldBack = 100 * time.Millisecond

// Gateway is an HTTP proxy that interferes once, with a given request.
type Gateway struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	// challenge is that of a 401.
	challenge string
	// Strike cancels the push. It is set before Arm.
	Strike context.CancelFunc

	// mu guards the fields below.
	mu     sync.Mutex
	at     int64 // the request; negative means never
	kind   Fault
	passed int64
	done   bool          // the fault is there
	next   chan struct{} // closed when a request is answered after that
	cut    int           // requests whose body the client has cut off
}

// StartGateway returns a gateway in front of upstream, a host and port, which asks
// for a credential with challenge. It lets everything pass until [Gateway.Arm],
// and ends with the test.
func StartGateway(t *testing.T, upstream, challenge string) *Gateway {
	t.Helper()
	target, err := url.Parse("http://" + upstream)
	servers.Need(t, err)
	transport := &http.Transport{ExpectContinueTimeout: time.Second}
	g := &Gateway{challenge: challenge, at: -1, next: make(chan struct{})}
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

// Address is where clients find it.
func (g *Gateway) Address() string { return g.server.Listener.Addr().String() }

// Place goes through the requests evenly, and through the faults in turn.
func (g *Gateway) Place(i, n int, total int64) (int64, Fault) {
	return total * int64(i) / int64(n), requestFaults[i%len(requestFaults)]
}

// Arm has the next requests counted from 0, and the one at position at met with kind.
func (g *Gateway) Arm(at int64, kind Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.kind, g.passed, g.done, g.next, g.cut = at, kind, 0, false, make(chan struct{}), 0
}

// Disarm lets everything pass from now on.
func (g *Gateway) Disarm() { g.Arm(-1, "") }

// Count says how many requests came since [Gateway.Arm], and whether the fault did.
func (g *Gateway) Count() (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed, g.done
}

// Cuts is how many requests since [Gateway.Arm] were cut within their body.
func (g *Gateway) Cuts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cut
}

// watched is a request body whose end before its time is counted.
type watched struct {
	io.ReadCloser
	gateway *Gateway
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
func (g *Gateway) take() (kind Fault, next chan struct{}) {
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
func (g *Gateway) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done && g.next != nil {
		close(g.next)
		g.next = nil
	}
}

// ServeHTTP passes a request on, or interferes with it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, next := g.take()
	req.Body = watched{req.Body, g}
	switch kind {
	case "":
		g.proxy.ServeHTTP(w, req)
		g.answered()
	case Reorder:
		select {
		case <-next:
		case <-time.After(heldBack):
		case <-req.Context().Done():
		}
		g.proxy.ServeHTTP(w, req)
	case CancelRequest:
		g.Strike()
		g.proxy.ServeHTTP(w, req)
	case CancelAnswer:
		answer := NewRecorder(w)
		g.proxy.ServeHTTP(answer, req)
		g.Strike()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client may have gone
	case Status504, Lost, Truncated:
		answer := NewRecorder(w)
		g.proxy.ServeHTTP(answer, req)
		g.spoil(w, kind, answer.Result())
	case Status401Late, Status500Late:
		_, _ = io.Copy(io.Discard, req.Body)
		g.impose(w, req, kind)
	default:
		g.impose(w, req, kind)
	}
}

// Recorder keeps an answer, but not that the client may go on ("100 Continue").
type Recorder struct {
	*httptest.ResponseRecorder
	w http.ResponseWriter
}

// NewRecorder returns a recorder of what is to be answered to w.
func NewRecorder(w http.ResponseWriter) Recorder { return Recorder{httptest.NewRecorder(), w} }

// WriteHeader passes on what comes before the answer.
func (r Recorder) WriteHeader(status int) {
	if status < http.StatusOK {
		r.w.WriteHeader(status)
		return
	}
	r.ResponseRecorder.WriteHeader(status)
}

// spoil answers otherwise than the registry did.
func (g *Gateway) spoil(w http.ResponseWriter, kind Fault, resp *http.Response) {
	if kind == Status504 {
		http.Error(w, "Gateway Timeout", http.StatusGatewayTimeout)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // the client has gone
	}
	defer conn.Close()
	if kind == Truncated {
		whole, _ := httputil.DumpResponse(resp, true) // from memory
		_, _ = conn.Write(whole[:len(whole)/2])
	}
}

// impose answers in the registry's place, as it or a proxy would.
func (g *Gateway) impose(w http.ResponseWriter, req *http.Request, kind Fault) {
	switch kind {
	case Status401, Status401Late:
		w.Header().Set("WWW-Authenticate", g.challenge)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED")
	case Status404:
		code := "MANIFEST_UNKNOWN"
		if strings.Contains(req.URL.Path, "/blobs/") {
			code = "BLOB_UPLOAD_UNKNOWN"
		}
		refuse(w, http.StatusNotFound, code)
	case Status413:
		w.Header().Set("Server", "nginx")
		http.Error(w, "<html><h1>413 Request Entity Too Large</h1></html>", http.StatusRequestEntityTooLarge)
	case Status429:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "Too Many Requests", http.StatusTooManyRequests)
	case Status500, Status500Late:
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.WriteHeader(http.StatusInternalServerError) // as Gitea's
	case Status502:
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
