package remote_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// enough is how many bytes of an answer without an end a client may take, the
// buffers of the connections included.
const enough = 48 << 20

// TestHostileAnswers has a server answer each kind of request in ways that no
// registry does. Whatever comes of it, it comes soon, takes a bounded part of
// what is sent, and shows nothing that steers a terminal.
func TestHostileAnswers(t *testing.T) {
	var written atomic.Int64
	endless := func(w http.ResponseWriter, part string) {
		for {
			n, err := io.WriteString(w, part)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	}
	status := func(code int, then func(w http.ResponseWriter)) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(code)
			then(w)
		}
	}
	header := func(name, value string, code int) func(w http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set(name, value)
			w.WriteHeader(code)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	answers := map[string]func(w http.ResponseWriter){
		"endless spaces": status(200, func(w http.ResponseWriter) { endless(w, strings.Repeat(" ", 1<<16)) }),
		"endless string": status(200, func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"token":"`)
			endless(w, strings.Repeat("x", 1<<16))
		}),
		"endless list": status(200, func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"tags":[`)
			endless(w, strings.Repeat(`"x",`, 1<<14))
		}),
		"deep nesting":    status(200, func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("[", 1<<20)) }),
		"endless error":   status(500, func(w http.ResponseWriter) { endless(w, strings.Repeat("x", 1<<16)) }),
		"endless refusal": status(401, func(w http.ResponseWriter) { endless(w, strings.Repeat("x", 1<<16)) }),
		"10000 headers": func(w http.ResponseWriter) {
			for i := range 10_000 {
				w.Header().Set(fmt.Sprint("X-", i), "x")
			}
		},
		"10000 challenges": func(w http.ResponseWriter) {
			for i := range 10_000 {
				w.Header().Add("WWW-Authenticate", fmt.Sprintf(`Bearer realm="/%d"`, i))
			}
			w.WriteHeader(http.StatusUnauthorized)
		},
		"a huge header":    header("Location", "/"+strings.Repeat("x", 8<<20), 202),
		"a long location":  header("Location", "/"+strings.Repeat("x", 100<<10), 202),
		"an empty one":     header("Location", "", 202),
		"a script":         header("Location", "javascript:alert(1)", 202),
		"a file":           header("Location", "file:///etc/passwd", 202),
		"up the path":      header("Location", "/v2/../../../etc/passwd", 202),
		"control bytes":    header("Server", "\x1b[2J\u202e", 502),
		"a digest":         header("Docker-Content-Digest", "../../../etc/passwd", 201),
		"a long digest":    header("Docker-Content-Digest", "sha256:"+strings.Repeat("f", 100<<10), 201),
		"a range":          header("Range", "0-18446744073709551615", 202),
		"a wait":           header("Retry-After", "-99999999999999999999", 503),
		"a short body":     header("Content-Length", "1000000", 200),
		"a negative chunk": header("OCI-Chunk-Min-Length", "-9223372036854775808", 202),
		"a huge chunk":     header("OCI-Chunk-Min-Length", "9223372036854775807", 202),
		"a bomb": func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		},
		"no answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	dir := writeLayout(t, make([]byte, 1<<20+1))
	for _, place := range []struct{ name, match string }{
		{"ping", "GET /v2/ "},
		{"token", "GET /v2/token"},
		{"start", "POST "},
		{"chunk", "PATCH "},
		{"end", "PUT /v2/me/app/blobs"},
		{"manifest", "PUT /v2/me/app/manifests"},
		{"look", "HEAD "},
		{"read", "GET /v2/me/app/manifests"},
		{"tags", "GET /v2/me/app/tags"},
	} {
		for name, answer := range answers {
			if place.name == "look" && strings.HasPrefix(name, "endless") {
				continue // there is no body
			}
			t.Run(place.name+" "+name, func(t *testing.T) {
				base := bearer(own, func() string { return "t1" })
				s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
					if strings.HasPrefix(req.Method+" "+req.URL.Path+" ", place.match) {
						_, _ = io.Copy(io.Discard, req.Body)
						answer(w)
						return true
					}
					return base(w, req)
				})
				written.Store(0)
				begin := time.Now()
				c := s.client(t, secretAuth)
				errs := []error{
					c.Health(t.Context()),
					push(t, c, dir, registry.PushOptions{ChunkSize: 1 << 20, Retries: 1}),
				}
				_, err := c.Tags(t.Context(), "me/app")
				errs = append(errs, err)
				_, err = c.Manifest(t.Context(), "me/app", "1")
				for _, err := range append(errs, err) {
					if err != nil && (err.Error() != registry.Printable(err.Error()) || len(err.Error()) > 4000) {
						t.Errorf("got %.4000q", err)
					}
				}
				if n := written.Load(); n > enough {
					t.Errorf("%d bytes of an endless answer were taken", n)
				}
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("it took %v", took)
				}
				s.CloseClientConnections()
			})
		}
	}
}
