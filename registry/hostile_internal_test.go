package registry

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
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
	if text != Printable(text) || !utf8.ValidString(text) || len(text) > 8*printable.MaxText {
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
				d := Diagnose(e)
				assertPrintable(t, name+", cause", d.Cause)
				assertPrintable(t, name+", hint", d.Hint)
			}
		}
	}
}

// hostileLocations are addresses that a server may give for an upload; the
// client goes to those alone that are an address of the web, and never from
// TLS to none.
var hostileLocations = []string{
	"javascript:alert(1)", "file:///etc/passwd", "data:text/plain,x", "ftp://git.example.com/x", "https:", "https://", "http://[::1", "://",
	"https://:443/v2/x", "mailto:a@b", "x:@evil.example.net", "\x00", "https://git.example.com\r\nX: y/", "http://git.example.com:80/x",
	"http://evil.example.net/v2/x", "https://git.example.com:99999999/x%zz",
}

func TestHostileLocationsAreRefused(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/me/app/blobs/uploads/"}
	for _, location := range append(hostileLocations, hostileTexts[3]) {
		if got, err := resolveLocation(base, location); err == nil {
			t.Errorf("%q leads to %q", location, got)
		} else {
			assertPrintable(t, "the error", err.Error())
		}
	}
	// A path stays on the registry, however it is written.
	for _, location := range []string{"/v2/../../../../etc/passwd", "../../../../../x", "", ".", "?_state=" + strings.Repeat("x", 100<<10), "/" + strings.Repeat("../", 30_000)} {
		got, err := resolveLocation(base, location)
		if u, parseErr := url.Parse(got); err != nil || parseErr != nil || u.Host != base.Host || u.Scheme != base.Scheme {
			t.Errorf("%.50q leads to %.50q, %v", location, got, err)
		}
	}
}

func FuzzResolveLocation(f *testing.F) {
	for _, location := range hostileLocations {
		f.Add(location)
	}
	f.Add("/v2/me/app/blobs/uploads/1?_state=x")
	f.Add("https://storage.example.com/upload?sig=1")
	base := &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/me/app/blobs/uploads/"}
	f.Fuzz(func(t *testing.T, location string) {
		got, err := resolveLocation(base, location)
		if err != nil {
			assertPrintable(t, "the error", err.Error())
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			t.Errorf("%q leads to %q, %v", location, got, err)
		}
		if (endpoint.Endpoint{Scheme: "https", Host: "git.example.com"}).OwnsUpload(got) && endpoint.Canonical(u) != "git.example.com" {
			t.Errorf("%q counts as the registry's own", got)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "-1", "99999999999999999999", "Fri, 02 Jan 2026 03:04:12 GMT", "", "1e9"} {
		f.Add(value, "Fri, 02 Jan 2026 03:04:05 GMT")
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(0, 0))
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
			_ = Diagnose(e)
		}
	})
}

// FuzzToken reads answers of a token service: what comes of them can be sent
// in a header.
func FuzzToken(f *testing.F) {
	for _, body := range []string{
		`{"token":"x"}`, `{"access_token":"x","expires_in":60}`, `{"token":"a.eyJleHAiOjF9.c"}`, `{"token":"x\r\nX: y"}`, `{"token":1}`,
		`{"token":"x","expires_in":-9223372036854775808}`, `{"token":"x","expires_in":9223372036854775807}`, ``, `{`,
	} {
		f.Add(body)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := &authorizer{now: func() time.Time { return now }}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := a.read(io.NopCloser(strings.NewReader(body)))
		if err != nil {
			return
		}
		if value := got.value.Reveal(); value == "" || printable.HasControl(value) {
			t.Errorf("%q: got %q", body, value)
		}
		if got.renew.After(got.expires) && got.expires.After(now) {
			t.Errorf("%q: renewed at %v, after %v", body, got.renew, got.expires)
		}
	})
}

func FuzzNextPage(f *testing.F) {
	for _, link := range []string{
		`</v2/me/app/tags/list?last=a&n=100>; rel="next"`, `<https://evil.example.net/v2/x>; rel="next"`, `<x:@evil.example.net/>; rel=next`,
		`<//evil.example.net/x>; rel="next"`, `<?last=b>; rel="next"`, `<>; rel="next"`, `<:>; rel="next"`,
	} {
		f.Add(link)
	}
	e := endpoint.Endpoint{Scheme: "https", Host: "git.example.com"}
	own, err := url.Parse(e.URL("/v2/me/app/tags/list"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, link string) {
		next := NextPage(&http.Response{Header: http.Header{"Link": {link}}, Request: &http.Request{URL: own}})
		if next == "" {
			return
		}
		if u, err := url.Parse(e.URL(next)); err != nil || u.Host != own.Host || u.User != nil {
			t.Errorf("%q leads to %q: %v", link, e.URL(next), err)
		}
	})
}

// The last gates hold where the ones before them let something pass.
func TestLastGates(t *testing.T) {
	t.Parallel()
	const payload = "pwn$(id);\x1b[2J"
	unknown := x509.UnknownAuthorityError{Cert: &x509.Certificate{}}
	for name, err := range map[string]error{
		"a certificate's host":  &TLSError{Host: payload, Err: unknown},
		"an address":            &Error{URL: "https://pwn$(id)/v2/pwn$(id)/app/", Status: http.StatusUnauthorized, Kind: ErrUnauthorized},
		"an owner":              &Error{URL: "https://git.example.com/v2/pwn$(id)/app/", Status: http.StatusForbidden, Kind: ErrQuota},
		"a host on the way":     &UnreachableError{payload, syscall.ECONNREFUSED},
		"the text of a failure": &UnreachableError{"git.example.com", errors.New(payload)},
		"a proxy":               &ProxyError{Host: payload, Variable: "HTTPS_PROXY", Proxy: payload, Status: http.StatusProxyAuthRequired},
	} {
		if hint := Diagnose(err).Hint; strings.Contains(hint, "pwn") {
			t.Errorf("%s: got the hint %q", name, hint)
		}
		if way, ok := err.(*UnreachableError); ok && way.Error() != Printable(way.Error()) { //nolint:errorlint // of this very type
			t.Errorf("%s: got %q", name, err)
		}
	}
}
