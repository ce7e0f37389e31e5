package repo

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
)

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
	for _, location := range append(hostileLocations, "a\x00b") {
		if got, err := ResolveLocation(base, location); err == nil {
			t.Errorf("%q leads to %q", location, got)
		} else if text := err.Error(); text != registry.Printable(text) {
			t.Errorf("%q: got %q", location, text)
		}
	}
	// A path stays on the registry, however it is written.
	for _, location := range []string{"/v2/../../../../etc/passwd", "../../../../../x", "", ".", "?_state=" + strings.Repeat("x", 100<<10), "/" + strings.Repeat("../", 30_000)} {
		got, err := ResolveLocation(base, location)
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
		got, err := ResolveLocation(base, location)
		if err != nil {
			if text := err.Error(); text != registry.Printable(text) {
				t.Errorf("%q: got %q", location, text)
			}
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

func TestHeldBytes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0-0": 1, "0-1023": 1024, "bytes=0-9": 10, "bytes 0-9": 10, "": -1, "1-2": -1, "0-": -1, "0--1": -1, "0-x": -1, "0-99999999999999999999": -1,
	} {
		if got := HeldBytes(in); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func FuzzHeldBytes(f *testing.F) {
	f.Add("0-1023")
	f.Fuzz(func(t *testing.T, s string) {
		if got := HeldBytes(s); got < -1 || got == 0 {
			t.Errorf("%q: got %d", s, got)
		}
	})
}

func TestResolveLocation(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://h:3000/v2/o/n/blobs/uploads/?mount=x")
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"/v2/o/n/blobs/uploads/1":                  "https://h:3000/v2/o/n/blobs/uploads/1",
		"http://h/v2/o/n/blobs/uploads/1?_state=a": "https://h:3000/v2/o/n/blobs/uploads/1?_state=a",
		"https://storage.example.com/upload?sig=1": "https://storage.example.com/upload?sig=1",
		"https://u:p@storage.example.com/upload":   "https://storage.example.com/upload",
		"http://other/v2/o/n/blobs/uploads/1":      "",
		"ftp://other/x":                            "",
		"https://":                                 "",
		"http://[::1":                              "",
	} {
		got, err := ResolveLocation(base, in)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}
