package registrytest

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Request is an entry of the request log.
type Request struct {
	Method string
	// Path is the path of the URL, and Query its query.
	Path  string
	Query url.Values
	// Status is that of the answer; 0 while there is none, or when the
	// connection was cut instead.
	Status int
	// Body is how many bytes of the body were received.
	Body int64
	// Scheme is that of the Authorization header in lower case ("basic",
	// "bearer"), empty without one. The credential itself is never kept.
	Scheme string
	// Expect says that the client waited for "100 Continue".
	Expect bool
	// Header is the request's, without Authorization and cookies.
	Header http.Header
}

// Stats are counters over all requests so far.
type Stats struct {
	Requests      int
	TokenRequests int
	// BodyBytes is the size of all request bodies, as far as they arrived.
	BodyBytes int64
	// OpenSessions is the number of uploads begun and neither ended nor given
	// up.
	OpenSessions int
}

// requestLog records what arrives.
type requestLog struct {
	// mu guards the field below.
	mu      sync.Mutex
	entries []*entry
}

// entry is a request on its way. Its status is set before the client can see
// the answer.
type entry struct {
	Request

	status atomic.Int64
	body   atomic.Int64
}

func (e *entry) request() Request {
	req := e.Request
	req.Status, req.Body = int(e.status.Load()), e.body.Load()
	return req
}

func (l *requestLog) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		e := &entry{Request: describe(req)}
		l.mu.Lock()
		l.entries = append(l.entries, e)
		l.mu.Unlock()
		counted := withBody(req, &countingBody{ReadCloser: req.Body, n: &e.body})
		next.ServeHTTP(&statusWriter{ResponseWriter: w, status: &e.status}, counted)
	})
}

func describe(req *http.Request) Request {
	header := req.Header.Clone()
	header.Del("Authorization")
	header.Del("Cookie")
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return Request{
		Method: req.Method,
		Path:   req.URL.Path,
		Query:  req.URL.Query(),
		Scheme: strings.ToLower(scheme),
		Expect: strings.EqualFold(req.Header.Get("Expect"), "100-continue"),
		Header: header,
	}
}

// countingBody counts what is read.
type countingBody struct {
	io.ReadCloser

	n *atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status *atomic.Int64
}

func (w *statusWriter) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.status.CompareAndSwap(0, int64(status))
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	w.status.CompareAndSwap(0, http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// Unwrap is for [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Log returns the requests so far, in the order of their arrival.
func (r *Registry) Log() []Request {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var requests []Request
	for _, e := range r.log.entries {
		requests = append(requests, e.request())
	}
	return requests
}

// Requests returns the requests of one method, or of all when it is empty,
// whose path matches a regular expression. It panics when that is malformed.
func (r *Registry) Requests(method, path string) []Request {
	pattern := regexp.MustCompile(path)
	return slices.DeleteFunc(r.Log(), func(req Request) bool {
		return method != "" && method != req.Method || !pattern.MatchString(req.Path)
	})
}

// Stats returns the counters.
func (r *Registry) Stats() Stats {
	stats := Stats{OpenSessions: r.OpenSessions()}
	for _, req := range r.Log() {
		stats.Requests++
		stats.BodyBytes += req.Body
		if strings.HasSuffix(req.Path, "/token") {
			stats.TokenRequests++
		}
	}
	return stats
}

// ResetLog forgets the requests so far.
func (r *Registry) ResetLog() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.log.entries = nil
}
