package response

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseChallenges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		headers []string
		want    []Challenge
	}{
		{"Gitea's two headers", []string{
			`Bearer realm="https://h/v2/token",service="container_registry",scope="*"`, `Basic realm="Gitea Container Registry"`,
		}, []Challenge{
			{"bearer", map[string]string{"realm": "https://h/v2/token", "service": "container_registry", "scope": "*"}},
			{"basic", map[string]string{"realm": "Gitea Container Registry"}},
		}},
		{"two in one header", []string{`Basic realm="a, b", Bearer realm=x`}, []Challenge{
			{"basic", map[string]string{"realm": "a, b"}}, {"bearer", map[string]string{"realm": "x"}},
		}},
		{"quotes within quotes", []string{`Basic realm="a\"b"`}, []Challenge{{"basic", map[string]string{"realm": `a"b`}}}},
		{"unterminated", []string{`Basic realm="a`}, []Challenge{{"basic", map[string]string{}}}},
		{"nothing", []string{"", "="}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, Challenges(tc.headers), cmp.AllowUnexported(Challenge{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://h/v2/token",service="s", Basic realm="x"`)
	f.Fuzz(func(_ *testing.T, s string) { Challenges([]string{s, s}) })
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "x": 0, "86400": maxRetryAfter,
		now.Add(9 * time.Second).Format(http.TimeFormat): 9 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):      0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
	skewed := http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}, "Date": {now.Format(http.TimeFormat)}}
	if got := RetryAfter(skewed, now.Add(time.Hour)); got != time.Minute {
		t.Errorf("with the server's date: got %v, want 1m", got)
	}
}
