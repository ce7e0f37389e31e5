package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

const (
	// mark is part of everything that the hostile server sends where a name, a
	// host or a text belongs; secret where something of a session does.
	mark   = "pwn"
	secret = "5ession-5ecret"
)

// payload does something in a shell, in a terminal, in a template and in YAML.
const payload = mark + "$(id)`id`;id|id&&id\x1b]0;x\a\x1b[2J\u202e\u200b'\"{{.}}\n- !!x: #"

// payloadHost is a host as far as net/url can tell.
const payloadHost = mark + "$(id);id&'x'"

// hostileHeaders has every header that a client of a registry may look at.
func hostileHeaders(h http.Header) {
	for _, name := range []string{
		"Server", "Via", "Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version", "Range", "Content-Range",
		"OCI-Chunk-Min-Length", "OCI-Tag", "OCI-Subject", "OCI-Filters-Applied", "Retry-After", "Date", "Warning", "Docker-Upload-Uuid", "X-Request-Id",
	} {
		h[name] = []string{strings.ReplaceAll(payload, "\n", " ")}
	}
	header := strings.ReplaceAll(payload, "\n", " ")
	h.Set("Link", "</v2/"+header+`?token=`+secret+`>; rel="next"`)
	h["WWW-Authenticate"] = []string{fmt.Sprintf(`Bearer realm="https://u:%s@%s/%s?token=%s",service="%s",scope="%s"`, secret, payloadHost, header, secret, strings.ReplaceAll(header, `"`, `\"`), mark)}
}

// hostileBody has every field that a client of a registry, or of Gitea's API,
// may look at.
func hostileBody() string {
	text := fmt.Sprintf("%q", payload)
	text = strings.NewReplacer(`\a`, `\u0007`, `\x1b`, `\u001b`).Replace(text)
	return strings.ReplaceAll(`{"errors":[{"code":P,"message":P,"detail":P}],"details":P,"message":P,"token":"`+mark+secret+`","access_token":P,
"version":P,"login":P,"name":P,"tags":[P,"1"],"repositories":[P,"a/../b"],"schemaVersion":2,"mediaType":P,"artifactType":P,
"config":{"mediaType":P,"digest":P,"size":1},"layers":[{"mediaType":P,"digest":P,"size":1,"urls":[P]}],
"manifests":[{"mediaType":P,"digest":P,"size":1,"platform":{"os":P,"architecture":P,"variant":P}}]}`, "P", text)
}

// raw is what no server made with net/http would send.
var raw = []string{
	"HTTP/1.1 200 " + payload + "\r\n\r\n",
	"HTTP/1.1 \x1b[31m" + mark + "\r\n\r\n",
	"\x1b]0;x\a" + mark + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\x1b[31m" + mark + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: \x1b[31m" + mark + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x1b[31m" + mark + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[31m" + mark + "\r\n",
	"HTTP/1.1 307 x\r\nLocation: https://u:" + secret + "@\x1b[31m" + mark + "/?" + secret + "\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 307 x\r\nLocation: https://[\x1b[31m" + mark + "\r\nContent-Length: 0\r\n\r\n",
}

// payloadWays are the ways in which a server answers.
func payloadWays() map[string]func(w http.ResponseWriter, req *http.Request) {
	ways := map[string]func(w http.ResponseWriter, req *http.Request){}
	for _, status := range []int{200, 201, 202, 206, 301, 307, 400, 401, 403, 404, 405, 413, 416, 429, 500, 502} {
		for _, location := range []string{"https://u:" + secret + "@" + payloadHost + "/v2/x?_state=" + secret, "/v2/" + payloadHost + "/x?" + secret + "=1", "https://other.invalid/" + "v2/x?sig=" + secret} {
			ways[fmt.Sprintf("%d %.20s", status, location)] = func(w http.ResponseWriter, _ *http.Request) {
				hostileHeaders(w.Header())
				w.Header().Set("Location", location)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, hostileBody())
			}
		}
		ways[fmt.Sprintf("%d, a line of text", status)] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, payload)
		}
	}
	for i, answer := range raw {
		ways[fmt.Sprint("raw ", i)] = func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}
		}
	}
	return ways
}

// TestHostileTextLeavesNowhere has a server send a payload in every string of
// every answer. Whatever leaves the package (results, errors, events, checks,
// causes, logs) is printable and holds nothing of a session; no hint, which is
// a command to copy, has a word of the server's in it.
func TestHostileTextLeavesNowhere(t *testing.T) {
	t.Parallel()
	dir := writeLayout(t, []byte("x"))
	for place, match := range map[string]string{"everything": "", "the registry": "GET /v2/ ", "its token service": "GET /v2/token", "uploads": "POST ", "sessions": "P", "manifests": "PUT /v2/me/app/manifests"} {
		for way, answer := range payloadWays() {
			t.Run(place+", "+way, func(t *testing.T) {
				t.Parallel()
				base := bearer(own, func() string { return "t1" })
				s := start(t, func(w http.ResponseWriter, req *http.Request) bool {
					if strings.HasPrefix(req.Method+" "+req.URL.Path+" ", match) || strings.HasPrefix(req.URL.Path, "/api/") {
						_, _ = io.Copy(io.Discard, req.Body)
						answer(w, req)
						return true
					}
					return base(w, req)
				})
				log := &collector{}
				c := s.clientAlone(t, &remote.Options{Retries: -1, Logger: slog.New(log), Backoff: func(int) time.Duration { return 0 }})
				for name, call := range calls {
					if match != "" && name != "Push" && name != "Check" && name != "Identity" {
						continue
					}
					for _, v := range call(t, c, dir) {
						checkText(t, name, v)
					}
				}
				for _, text := range log.texts {
					checkPrintable(t, "the log", text)
				}
			})
		}
	}
}

// checkText looks at every string that can be reached from v.
func checkText(t *testing.T, what string, v any) {
	t.Helper()
	if err, ok := v.(error); ok {
		checkPrintable(t, what+": error", err.Error())
		d := registry.Diagnose(err)
		checkPrintable(t, what+": cause", d.Cause)
		checkHint(t, what, d.Hint)
		for ; err != nil; err = errors.Unwrap(err) {
			checkFields(t, what, reflect.ValueOf(err))
		}
		return
	}
	checkFields(t, what, reflect.ValueOf(v))
}

// unchecked are fields that say of themselves that they are a server's text.
var unchecked = map[string]bool{"Annotations": true, "Data": true, "URLs": true, "Body": true, "Header": true}

func checkFields(t *testing.T, what string, v reflect.Value) {
	t.Helper()
	switch v.Kind() { //nolint:exhaustive // no other holds strings
	case reflect.String:
		checkPrintable(t, what, v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if err, ok := reflect.TypeAssert[error](v); ok && v.Kind() == reflect.Interface {
			checkText(t, what, err)
			return
		}
		checkFields(t, what, v.Elem())
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			checkFields(t, what, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			switch {
			case !f.IsExported() || unchecked[f.Name]:
			case f.Name == "Hint":
				checkHint(t, what, v.Field(i).String())
			case v.Type() == reflect.TypeFor[image.Manifest]() || strings.HasPrefix(v.Type().PkgPath(), "github.com/docker-gitea") || strings.Contains(v.Type().PkgPath(), "image-spec"):
				checkFields(t, what+"."+f.Name, v.Field(i))
			}
		}
	}
}

func checkHint(t *testing.T, what, hint string) {
	t.Helper()
	checkPrintable(t, what+": hint", hint)
	if strings.Contains(hint, mark) {
		t.Errorf("%s: the server's own words are in the hint %q", what, hint)
	}
}

func checkPrintable(t *testing.T, what, text string) {
	t.Helper()
	if text != registry.Printable(text) || len(text) > 4000 {
		t.Errorf("%s: got %.500q, which a terminal would obey", what, text)
	}
	if strings.Contains(text, secret) || strings.Contains(text, canary) {
		t.Errorf("%s: a secret is in %.500q", what, text)
	}
}

// collector keeps the texts of a log as they are.
type collector struct {
	mu    sync.Mutex // guards texts
	texts []string
}

func (c *collector) Enabled(context.Context, slog.Level) bool { return true }

func (c *collector) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c *collector) WithGroup(string) slog.Handler { return c }

func (c *collector) Handle(_ context.Context, r slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts = append(c.texts, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		c.texts = append(c.texts, a.Value.String())
		return true
	})
	return nil
}
