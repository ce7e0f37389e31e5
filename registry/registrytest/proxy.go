package registrytest

import (
	"bytes"
	"io"
	"net/http"
)

// Proxy is what many registries have in front of them: something that limits
// the size of a request body, and says so in its own words.
type Proxy struct {
	// MaxBody is the largest request body in bytes. Zero means no limit.
	MaxBody int64
	// Server is the name it goes by: "nginx" when empty, "cloudflare".
	Server string
	// Buffered reads a request to its end before passing it on, as nginx does
	// by default: it answers "100 Continue" itself, and a request that is cut
	// never reaches the registry.
	Buffered bool
}

func (p *Proxy) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if p.MaxBody > 0 && req.ContentLength > p.MaxBody {
			p.tooLarge(w, req)
			return
		}
		switch {
		case p.Buffered:
			p.buffer(w, req, next)
		case p.MaxBody > 0:
			p.limit(w, req, next)
		default:
			next.ServeHTTP(w, req)
		}
	})
}

func (p *Proxy) tooLarge(w http.ResponseWriter, req *http.Request) {
	answer := ProxyError(http.StatusRequestEntityTooLarge, p.Server)
	answer.Early = true
	answer.Serve(w, req, nil)
}

// buffer reads the whole body and then passes it on.
func (p *Proxy) buffer(w http.ResponseWriter, req *http.Request, next http.Handler) {
	body := io.Reader(req.Body)
	if p.MaxBody > 0 {
		body = io.LimitReader(body, p.MaxBody+1)
	}
	data, err := io.ReadAll(body)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	case p.MaxBody > 0 && int64(len(data)) > p.MaxBody:
		p.tooLarge(w, req)
	default:
		req = withBody(req, io.NopCloser(bytes.NewReader(data)))
		req.ContentLength = int64(len(data))
		next.ServeHTTP(w, req)
	}
}

// limit passes the body on as it comes, and cuts it at the limit.
func (p *Proxy) limit(w http.ResponseWriter, req *http.Request, next http.Handler) {
	// One byte more shows that there is one.
	body := &limitedBody{ReadCloser: req.Body, rest: p.MaxBody + 1}
	held := newHeldWriter()
	next.ServeHTTP(held, withBody(req, body))
	if body.rest == 0 {
		p.tooLarge(w, req)
		return
	}
	held.release(w)
}
