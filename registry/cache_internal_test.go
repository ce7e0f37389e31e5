package registry

import (
	"testing"
	"time"
)

// A limit is believed for a week: the proxy may be mended by then.
func TestLimitIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	c := NewCache(t.TempDir())
	found := time.Now()
	if err := c.keepHost("git.example.com", 2<<20); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for after, want := range map[time.Duration]int64{0: 2 << 20, 7*day - time.Minute: 2 << 20, 7*day + time.Hour: 0, 365 * day: 0} {
		if got := c.host("git.example.com", found.Add(after)); got != want {
			t.Errorf("after %v: got %d, want %d", after, got, want)
		}
	}
	if got := c.host("other.example.com", found); got != 0 {
		t.Errorf("another host has the limit %d", got)
	}
}
