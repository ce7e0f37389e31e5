package registrytest

import (
	"io"
	"net/http"
	"net/http/httputil"
)

// Unprompted serves a request without ever saying "100 Continue", as the
// distribution registry 3.1 does: who waits for that waits in vain. The
// connection is closed afterwards.
type Unprompted struct{}

// Serve implements [Action].
func (Unprompted) Serve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	// net/http says it as soon as the body is read from req.
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = conn.Close() }() // the client may have closed it
	body := io.LimitReader(buffered, req.ContentLength)
	if req.ContentLength < 0 {
		body = httputil.NewChunkedReader(buffered)
	}
	held := newHeldWriter()
	next.ServeHTTP(held, withBody(req, io.NopCloser(body)))
	_, _ = io.Copy(io.Discard, body) // closing with bytes unread would be a reset
	answer := http.Response{
		StatusCode: max(held.status, http.StatusOK), ProtoMajor: 1, ProtoMinor: 1, Header: held.header,
		Body: io.NopCloser(&held.body), ContentLength: int64(held.body.Len()), Close: true,
	}
	_ = answer.Write(conn) // a client that is gone needs no answer
}
