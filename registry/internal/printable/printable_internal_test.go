package printable

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
)

func TestClean(t *testing.T) {
	t.Parallel()
	if got := Clean("a\x1b]0;x\x07\x1b[2J\u202eb\r\n\tc"); got != "a]0;x[2Jb c" {
		t.Errorf("got %q", got)
	}
	if got := Clean(strings.Repeat("é", 1000)); len(got) > MaxText+4 {
		t.Errorf("got %d bytes", len(got))
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b]0;x\x07\x1b[2J\u202eb\r\n\tc\x80\xff")
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{Line(s), Clean(s)} {
			if Line(got) != got || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
				t.Errorf("%q became %q", s, got)
			}
		}
	})
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://u:p@h/v2/?_state=secret&digest=sha256:ab")
	if err != nil {
		t.Fatal(err)
	}
	if got := URL(u); strings.Contains(got, "secret") || strings.Contains(got, "u:p") || !strings.Contains(got, "sha256") {
		t.Errorf("got %q", got)
	}
}
