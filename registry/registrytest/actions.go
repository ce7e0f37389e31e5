package registrytest

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"time"
)

// Answer is an answer given in place of the registry's. It is sent after the
// body has been read, and thrown away, unless Early is set.
type Answer struct {
	// Status is the HTTP status code. Zero means 200.
	Status int
	Header http.Header
	Body   string
	// Endless repeats Body until the client goes away.
	Endless bool
	// Early sends the answer while the body still arrives, which is then read
	// to its end or until the client stops; the connection is closed.
	Early bool
	// Reset, with Early, resets the connection as soon as the answer is sent:
	// the client may see it, or only that it cannot write.
	Reset bool
}

// ProxyError is the page of a proxy: Server says who it is ("nginx" when
// empty), and nothing says that a registry is there.
func ProxyError(status int, server string) Answer {
	if server == "" {
		server = "nginx"
	}
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return Answer{
		Status: status,
		Header: http.Header{"Server": {server}, "Content-Type": {"text/html"}},
		Body: "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
			"</h1></center>\r\n<hr><center>" + server + "</center>\r\n</body>\r\n</html>\r\n",
	}
}

// EmptyError is how Gitea answers when it fails: the header of a registry and
// no body.
func EmptyError(status int) Answer {
	return Answer{Status: status, Header: http.Header{versionHeader: {"registry/2.0"}}}
}

// Serve implements [Action].
func (a Answer) Serve(w http.ResponseWriter, req *http.Request, _ http.Handler) {
	control := http.NewResponseController(w)
	if a.Early {
		_ = control.EnableFullDuplex() // else the server reads on before it answers; HTTP/2 needs none of this
		w.Header().Set("Connection", "close")
	} else if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return
	}
	a.write(w)
	if !a.Early {
		return
	}
	_ = control.Flush() // a client that is gone needs no answer
	if a.Reset {
		disconnect(w, true)
		return
	}
	if req.Header.Get("Expect") == "" { // else the client sends no body after such an answer
		_, _ = io.Copy(io.Discard, req.Body) // lingering close
	}
}

func (a Answer) write(w http.ResponseWriter) {
	for name, values := range a.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(max(a.Status, http.StatusOK))
	for {
		if _, err := io.WriteString(w, a.Body); err != nil || !a.Endless {
			return
		}
	}
}

// Cut ends the connection while the request arrives.
type Cut struct {
	// After is how many bytes of the body arrive. A shorter body arrives
	// whole; then it is the answer that is lost.
	After int64
	// Withhold keeps the bytes from the registry, as a proxy does that reads
	// the request to its end first.
	Withhold bool
	// Reset ends the connection with RST instead of FIN.
	Reset bool
}

// Serve implements [Action]. The connection ends when the registry is done
// with what it got.
func (c Cut) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	body := &limitedBody{ReadCloser: req.Body, rest: c.After}
	if c.Withhold {
		_, _ = io.Copy(io.Discard, body)
	} else {
		next.ServeHTTP(newHeldWriter(), withBody(req, body))
	}
	disconnect(w, c.Reset)
}

// Late lets the registry do its work, throws its answer away and then acts.
type Late struct {
	// Action acts on a request whose body has been read. Nil ends the
	// connection.
	Action Action
}

// Serve implements [Action].
func (l Late) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	next.ServeHTTP(newHeldWriter(), req)
	if l.Action == nil {
		disconnect(w, false)
		return
	}
	l.Action.Serve(w, req, next)
}

// Hold lets a request wait.
type Hold struct {
	// After is how many bytes of the body arrive before. With a negative
	// number the request waits after the registry's work, before its answer.
	After int64
	// Until ends the wait when it is closed. The end of the request's context
	// and of the [Server] end it too.
	Until <-chan struct{}
}

// Serve implements [Action].
func (h Hold) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	wait := func() {
		select {
		case <-h.Until:
		case <-req.Context().Done():
		}
	}
	if h.After < 0 {
		held := newHeldWriter()
		next.ServeHTTP(held, req)
		wait()
		held.release(w)
		return
	}
	next.ServeHTTP(w, withBody(req, &holdingBody{ReadCloser: req.Body, rest: h.After, wait: wait}))
}

// Edit changes the headers of the registry's answer before they are sent: a
// Location elsewhere, a digest that is wrong.
type Edit func(http.Header)

// Serve implements [Action].
func (e Edit) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	held := newHeldWriter()
	next.ServeHTTP(held, req)
	e(held.header)
	held.release(w)
}

// Raw takes the connection over, for what HTTP does not allow. The connection
// is closed afterwards.
type Raw func(net.Conn)

// Serve implements [Action].
func (r Raw) Serve(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r(conn)
	_ = conn.Close() // the client may have closed it
}

// Expire is an [Action] that revokes all tokens and then serves the request:
// the token runs out between one request and the next.
func (r *Registry) Expire() Action {
	return ActionFunc(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		r.RevokeTokens()
		next.ServeHTTP(w, req)
	})
}

// disconnect ends the connection below w without an answer. TLS does not say
// goodbye, as when a cable is pulled or a process killed.
func disconnect(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to drop an HTTP/2 stream
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	defer func() { _ = conn.Close() }() // it is cut anyhow
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if reset {
		_ = tcp.SetLinger(0) // fails on a closed connection alone
		return
	}
	// Closing with bytes unread would be a reset: read on until the client
	// has seen the end.
	_ = tcp.CloseWrite()
	_ = tcp.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, tcp)
}

// withBody is a copy of req with another body.
func withBody(req *http.Request, body io.ReadCloser) *http.Request {
	clone := req.WithContext(req.Context())
	clone.Body = body
	return clone
}

// limitedBody ends with an error after rest bytes, as if the connection had.
type limitedBody struct {
	io.ReadCloser

	rest int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.rest == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.rest)])
	b.rest -= int64(n)
	return n, err
}

// holdingBody waits once, after rest bytes.
type holdingBody struct {
	io.ReadCloser

	rest int64
	wait func()
}

func (b *holdingBody) Read(p []byte) (int, error) {
	if b.wait != nil && b.rest == 0 {
		b.wait()
		b.wait = nil
	}
	if b.wait != nil {
		p = p[:min(int64(len(p)), b.rest)]
	}
	n, err := b.ReadCloser.Read(p)
	b.rest -= int64(n)
	return n, err
}

// heldWriter keeps an answer.
type heldWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newHeldWriter() *heldWriter { return &heldWriter{header: make(http.Header)} }

func (h *heldWriter) Header() http.Header { return h.header }

func (h *heldWriter) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *heldWriter) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// release sends the answer.
func (h *heldWriter) release(w http.ResponseWriter) {
	maps.Copy(w.Header(), h.header)
	w.WriteHeader(max(h.status, http.StatusOK))
	_, _ = w.Write(h.body.Bytes()) // a client that is gone needs no answer
}
