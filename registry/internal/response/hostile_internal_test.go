package response

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// hostileTexts are what a server may send where text is expected.
var hostileTexts = []string{
	"\x1b[2J\x1b]0;title\x07", "\u202egnp.exe", "\u2066x\u2069", "a\x00b", "\xff\xfe", "\u009b31m", "\r\nSet-Cookie: x", "\u2028\u2029",
	strings.Repeat("é", 100_000), strings.Repeat("\n", 1000), "\u00ad\u200b\ufeff",
}

// assertPrintable fails on what may not reach a terminal.
func assertPrintable(t *testing.T, what, text string) {
	t.Helper()
	if text != registry.Printable(text) || !utf8.ValidString(text) || len(text) > 8*printable.MaxText {
		t.Errorf("%s is %q", what, text)
	}
}

// Text of a server goes into errors and advice without anything that a
// terminal would act on, wherever in an answer it stands.
func TestHostileTextsAreMadePrintable(t *testing.T) {
	t.Parallel()
	for _, text := range hostileTexts {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []int{301, 400, 401, 403, 404, 413, 429, 500, 502} {
			for name, tc := range map[string]struct {
				header http.Header
				body   string
			}{
				"code and message": {http.Header{}, `{"errors":[{"code":` + string(quoted) + `,"message":` + string(quoted) + `}]}`},
				"details":          {http.Header{}, `{"details":` + string(quoted) + `}`},
				"plain text":       {http.Header{"Content-Type": {"text/plain"}}, text},
				"server":           {http.Header{"Server": {text}}, ""},
				"location":         {http.Header{"Location": {text}}, ""},
				"challenge":        {http.Header{"Www-Authenticate": {`Bearer realm="` + text + `",service="` + text + `"`}}, ""},
				"retry":            {http.Header{"Retry-After": {text}, "Date": {text}}, ""},
				"content type":     {http.Header{"Content-Type": {text}}, text},
			} {
				e := answered("put manifest 1", status, tc.header, tc.body)
				assertPrintable(t, name, e.Error())
				d := registry.Diagnose(e)
				assertPrintable(t, name+", cause", d.Cause)
				assertPrintable(t, name+", hint", d.Hint)
			}
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "-1", "99999999999999999999", "Fri, 02 Jan 2026 03:04:12 GMT", "", "1e9"} {
		f.Add(value, "Fri, 02 Jan 2026 03:04:05 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got := RetryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(0, 0))
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q at %q: got %v", value, date, got)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range []string{
		`{"errors":[{"code":"DENIED","message":"no"}]}`, `{"errors":[]}`, `{"details":"x"}`, `null`, `[`, "plain\ntext", "\x1b[2J",
	} {
		f.Add("application/json", body)
		f.Add("text/plain; charset=utf-8", body)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		code, message := parseErrorBody(contentType, []byte(body))
		assertPrintable(t, "the code", code)
		assertPrintable(t, "the message", message)
		for _, status := range []int{301, 400, 401, 403, 404, 413, 500} {
			e := answered("put manifest 1", status, http.Header{"Content-Type": {contentType}}, body)
			assertPrintable(t, "the error", e.Error())
			_ = registry.Diagnose(e)
		}
	})
}

// answered is the error of an answer, as the client makes it.
func answered(op string, status int, header http.Header, body string) *registry.Error {
	req := &http.Request{Method: http.MethodPost, URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/acme/app/blobs/uploads/"}}
	return Error(op, req, &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: req})
}
