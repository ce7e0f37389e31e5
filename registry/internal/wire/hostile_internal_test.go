package wire

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

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
