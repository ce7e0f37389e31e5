package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in, want, suggestion string
	}{
		{"git.example.com/me/app:1", "git.example.com/me/app:1", ""},
		{"git.example.com:3000/me/app", "git.example.com:3000/me/app:latest", ""},
		{"GIT.example.com/me/app/part:V1", "git.example.com/me/app/part:V1", ""},
		{"localhost/me/app", "localhost/me/app:latest", ""},
		{"[::1]:3000/me/app", "[::1]:3000/me/app:latest", ""},
		{"me/app:1", "me/app:1", ""},
		{"git.example.com/app:1", "git.example.com/app:1", ""},
		{"git.example.com/me/my__app:1", "git.example.com/me/my__app:1", ""},
		{"git.example.com/me/my--app", "git.example.com/me/my--app:latest", ""},
		{"git.example.com/me/my___app", "", "git.example.com/me/my_app:latest"},
		{"git.example.com/me/my._app", "", "git.example.com/me/my.app:latest"},
		{"git.example.com/Me/App:1", "", "git.example.com/me/app:1"},
		{"git.example.com/me/-app", "", "git.example.com/me/app:latest"},
		{"git.example.com/me//app", "", "git.example.com/me/app:latest"},
		{"git.example.com/me/app:a b", "", "git.example.com/me/app:a-b"},
		{"git.example.com/me/app:-x", "", "git.example.com/me/app:x"},
		{"git.example.com/me/app:_upload", "git.example.com/me/app:_upload", ""},
		{"https://git.example.com/me/app:1", "", "git.example.com/me/app:1"},
		{"git.example.com/me/app@sha256:ab", "", "git.example.com/me/app"},
		{"", "", ""},
		{"a\nb", "", ""},
		{"user@git.example.com/me/app", "", ""},
	} {
		t.Run(tc.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReference(tc.in)
			if tc.want != "" {
				if err != nil || got.String() != tc.want {
					t.Fatalf("got %q, %v, want %q", got, err, tc.want)
				}
				return
			}
			var name *NameError
			if !errors.As(err, &name) || !errors.Is(err, ErrNameInvalid) || name.Suggestion != tc.suggestion {
				t.Fatalf("got %v, want a suggestion of %q", err, tc.suggestion)
			}
		})
	}
}

// The rules that Gitea has beyond the specification's.
func TestGiteaFault(t *testing.T) {
	t.Parallel()
	for in, suggestion := range map[string]string{
		"git.example.com/me/app:1":       "ok",
		"git.example.com/me/app/part:V1": "ok",
		"git.example.com/app:1":          "git.example.com/OWNER/app:1",
		"git.example.com/me/my__app:1":   "git.example.com/me/my_app:1",
		"git.example.com/me/my--app":     "git.example.com/me/my-app:latest",
		"git.example.com/m--e/app":       "git.example.com/m-e/app:latest",
		"git.example.com/me/app:_upload": "",
		"git.example.com/me/app:_UPLOAD": "",
	} {
		ref, err := ParseReference(in)
		if err != nil {
			t.Fatal(err)
		}
		err = ref.CheckGitea([]string{ref.Tag})
		if fault, ok := errors.AsType[*NameError](err); suggestion == "ok" && err != nil || suggestion != "ok" && (!ok || fault.Suggestion != suggestion) {
			t.Errorf("%s: got %v, want a suggestion of %q", in, err, suggestion)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"git.example.com/me/app:1", "a/b", "[::1]/a/b", "x@y/z", "é/ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseReference(s)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q: got %v, %v the second time, want %v", s, again, err, ref)
		}
	})
}

func TestNormalizeHost(t *testing.T) {
	t.Parallel()
	same := []string{
		"git.example.com", "GIT.example.com", "https://git.example.com", "https://git.example.com/", "git.example.com:443",
		"https://git.example.com:443/v2/", "git.example.com/me/app", "git.example.com.", "//git.example.com",
	}
	for _, s := range same {
		if got, err := NormalizeHost(s); err != nil || got != "git.example.com" {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"evil-git.example.com", "git.example.com.evil", "git.example.com:444", "http://git.example.com:443",
	} {
		if got, err := NormalizeHost(s); err != nil || got == "git.example.com" {
			t.Errorf("%q: got %q, %v, want another host", s, got, err)
		}
	}
	for _, s := range []string{"", "user@git.example.com", "https://u:p@h", "a b", "a\r\nb", "ftp://h", "h:", "h:0443", "h:999999", "-h", "h\\x"} {
		if got, err := NormalizeHost(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the password is in %v", s, err)
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	f.Add("https://git.example.com:443/x")
	f.Fuzz(func(t *testing.T, s string) {
		host, err := NormalizeHost(s)
		if err != nil {
			return
		}
		if again, err := NormalizeHost(host); err != nil || (again != host && !strings.HasPrefix(s, "http://")) {
			t.Errorf("%q: got %q, %v, want %q", s, again, err, host)
		}
	})
}

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		headers []string
		want    []challenge
	}{
		{"Gitea's two headers", []string{
			`Bearer realm="https://h/v2/token",service="container_registry",scope="*"`, `Basic realm="Gitea Container Registry"`,
		}, []challenge{
			{"bearer", map[string]string{"realm": "https://h/v2/token", "service": "container_registry", "scope": "*"}},
			{"basic", map[string]string{"realm": "Gitea Container Registry"}},
		}},
		{"two in one header", []string{`Basic realm="a, b", Bearer realm=x`}, []challenge{
			{"basic", map[string]string{"realm": "a, b"}}, {"bearer", map[string]string{"realm": "x"}},
		}},
		{"quotes within quotes", []string{`Basic realm="a\"b"`}, []challenge{{"basic", map[string]string{"realm": `a"b`}}}},
		{"unterminated", []string{`Basic realm="a`}, []challenge{{"basic", map[string]string{}}}},
		{"nothing", []string{"", "="}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, parseChallenges(tc.headers), cmp.AllowUnexported(challenge{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://h/v2/token",service="s", Basic realm="x"`)
	f.Fuzz(func(_ *testing.T, s string) { parseChallenges([]string{s, s}) })
}

func TestHeldBytes(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0-0": 1, "0-1023": 1024, "bytes=0-9": 10, "bytes 0-9": 10, "": -1, "1-2": -1, "0-": -1, "0--1": -1, "0-x": -1, "0-99999999999999999999": -1,
	} {
		if got := heldBytes(in); got != want {
			t.Errorf("%q: got %d, want %d", in, got, want)
		}
	}
}

func FuzzHeldBytes(f *testing.F) {
	f.Add("0-1023")
	f.Fuzz(func(t *testing.T, s string) {
		if got := heldBytes(s); got < -1 || got == 0 {
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
		got, err := resolveLocation(base, in)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "x": 0, "86400": maxRetryAfter,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	skewed := http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}, "Date": {now.Format(http.TimeFormat)}}
	if got := retryAfter(skewed, now.Add(time.Hour)); got != time.Minute {
		t.Errorf("with the server's date: got %v, want 1m", got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	secret := NewSecret(canary)
	auth := AuthConfig{Token: canary, Username: "u"}
	password := AuthConfig{Username: "u", Password: canary}
	encoded, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(encoded), secret.LogValue().String(), auth.LogValue().String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, auth), fmt.Sprintf(verb, password),
			fmt.Sprintf(verb, RegistryConfig{URL: "https://h", Auth: auth}), fmt.Sprintf(verb, &token{value: secret}))
	}
	for _, text := range texts {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret is in %q", text)
		}
	}
	if secret.Reveal() != canary {
		t.Error("Reveal does not")
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	// {"exp":2000000000,"UserID":7,"Scope":"write:package"}
	jwt := "x.eyJleHAiOjIwMDAwMDAwMDAsIlVzZXJJRCI6NywiU2NvcGUiOiJ3cml0ZTpwYWNrYWdlIn0.y"
	id := ParseIdentity(jwt)
	if id.UserID != 7 || id.Scope != "write:package" || !id.CanPush() || id.Expires.Unix() != 2000000000 {
		t.Errorf("got %+v", id)
	}
	for _, id := range []Identity{{Anonymous: true}, {Actions: true}, {Scope: "read:package"}} {
		if id.CanPush() {
			t.Errorf("%+v can push", id)
		}
	}
	for _, id := range []Identity{{Scope: "read:package"}, {Scope: "read:user, write:package"}, {Scope: "all"}, {UserID: 7}} {
		if !id.CanPull() {
			t.Errorf("%+v cannot pull", id)
		}
	}
	for _, id := range []Identity{{Anonymous: true}, {Scope: "read:user"}} {
		if id.CanPull() {
			t.Errorf("%+v can pull", id)
		}
	}
	for _, s := range []string{"", "a.b", "a.!.c", "a.e30=.c.d"} {
		if got := ParseIdentity(s); got != (Identity{}) {
			t.Errorf("%q: got %+v", s, got)
		}
	}
}

// FuzzParseIdentity looks for a token that may push what it may not pull, or
// that writes to the terminal.
func FuzzParseIdentity(f *testing.F) {
	for _, claims := range []string{
		`{"exp":2000000000,"UserID":7,"Scope":"write:package"}`, `{"UserID":-1}`, `{"UserID":-2,"Scope":"all"}`,
		`{"UserID":7,"Scope":"read:user, write:package"}`, `{"Scope":"\u001b[2J\u202e"}`, `{"UserID":1e99}`, `[]`,
	} {
		f.Add("x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y")
	}
	f.Fuzz(func(t *testing.T, jwt string) {
		id := ParseIdentity(jwt)
		if id.CanPush() && !id.CanPull() {
			t.Errorf("%+v can push and not pull", id)
		}
		if id.Scope != printable.Clean(id.Scope) {
			t.Errorf("the scope is %q", id.Scope)
		}
	})
}

func TestSpool(t *testing.T) {
	t.Parallel()
	s := newSpool(10)
	s.dir = t.TempDir()
	read := make(chan string)
	for _, offset := range []int64{0, 3, 12} {
		go func() {
			data, err := io.ReadAll(s.reader(t.Context(), offset))
			read <- fmt.Sprint(offset, string(data), err)
		}()
	}
	for _, part := range []string{"0123", "456789", "abc", "def"} {
		if _, err := io.WriteString(s, part); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := s.complete(); ok {
		t.Error("complete before its end")
	}
	s.finish(nil)
	got := map[string]bool{<-read: true, <-read: true, <-read: true}
	if want := map[string]bool{"00123456789abcdef<nil>": true, "33456789abcdef<nil>": true, "12cdef<nil>": true}; !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if d, size, ok := s.complete(); !ok || size != 16 || d != digest.FromString("0123456789abcdef") {
		t.Errorf("got %v %d %v", d, size, ok)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v: the temporary file has a name", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A passing spool has no more than its limit at a time, in the order in which
// it came, and says so where what is wanted is gone.
func TestPassingSpool(t *testing.T) {
	t.Parallel()
	const text = "the quick brown fox jumps over the lazy dog"
	for _, skip := range []int64{0, 4, 25} {
		s := newSpool(10)
		s.passing = true
		s.dir = filepath.Join(t.TempDir(), "absent")
		wrote := make(chan error)
		go func() {
			for part := range slices.Chunk([]byte(text), 7) {
				if _, err := s.Write(part); err != nil {
					wrote <- err
					return
				}
			}
			s.finish(nil)
			wrote <- nil
		}()
		if n, err := s.wait(t.Context(), 10); n != 10 || err != nil {
			t.Errorf("got %d, %v before anything is read, want all that there is room for", n, err)
		}
		if _, err := s.wait(t.Context(), 11); !errors.Is(err, errPassed) {
			t.Errorf("got %v, want no wait for more than there will be", err)
		}
		data, err := io.ReadAll(iotest.OneByteReader(s.reader(t.Context(), skip)))
		if string(data) != text[skip:] || err != nil || <-wrote != nil {
			t.Errorf("got %q, %v from %d on", data, err, skip)
		}
		if d, size, ok := s.complete(); !ok || size != int64(len(text)) || d != digest.FromString(text) {
			t.Errorf("got %v %d %v", d, size, ok)
		}
		if data, err := io.ReadAll(s.reader(t.Context(), int64(len(text)-10))); string(data) != text[len(text)-10:] || err != nil {
			t.Errorf("got %q, %v of the last bytes", data, err)
		}
		if _, err := io.ReadAll(s.reader(t.Context(), 0)); !errors.Is(err, errPassed) {
			t.Errorf("got %v of what is gone", err)
		}
	}
	s := newSpool(10)
	s.passing = true
	wrote := make(chan error)
	go func() {
		_, err := s.Write([]byte(text))
		wrote <- err
	}()
	s.giveUp()
	if err := <-wrote; !errors.Is(err, errPassed) {
		t.Errorf("got %v, want the writer to end with its reader", err)
	}
}

func TestSpoolReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSpool(10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.reader(ctx, 0).Read(make([]byte, 1))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSpoolTellsOfAFullDisk(t *testing.T) {
	t.Parallel()
	s := newSpool(1)
	s.dir = filepath.Join(t.TempDir(), "absent")
	if _, err := s.Write([]byte("abc")); err == nil || !strings.Contains(err.Error(), "temporary file") {
		t.Errorf("got %v", err)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	c := NewCache(filepath.Join(t.TempDir(), "cache"))
	gzip, zstd := image.Compression{}, image.Compression{Algorithm: image.Zstd}
	if _, ok := c.layer(testDigest, gzip); ok {
		t.Error("found in an empty cache")
	}
	want := layerEntry{Digest: testDigest, Size: 7}
	if err := c.keepLayer(testDigest, gzip, want); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.layer(testDigest, gzip); !ok || got != want {
		t.Errorf("got %v %v", got, ok)
	}
	if _, ok := c.layer(testDigest, zstd); ok {
		t.Error("found for another compression")
	}
	var none *Cache
	if err := none.keepLayer(testDigest, gzip, want); err != nil {
		t.Error(err)
	}
	if _, ok := none.layer(testDigest, gzip); ok {
		t.Error("found without a cache")
	}
}

func TestDiagnoseKnowsEverySentinel(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		ErrNoSource, ErrUnauthorized, ErrDenied, ErrOwnerUnknown, ErrNotRegistry, ErrDigestMismatch,
		ErrTooLarge, ErrQuota, ErrRateLimited, ErrServer, ErrStalled, ErrRedirected,
	} {
		if d := Diagnose(fmt.Errorf("push: %w", err)); d.Cause == "" || d.Hint == "" {
			t.Errorf("%v: got %+v", err, d)
		}
	}
	if d := Diagnose(errors.New("other")); d != (Diagnosis{}) {
		t.Errorf("got %+v", d)
	}
}
