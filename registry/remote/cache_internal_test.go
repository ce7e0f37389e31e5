package remote

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// What is known of a host is believed for a week: the proxy may be mended by
// then. How long ago it was found, a clock that was ahead does not tell.
func TestHostIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	c := NewCache(t.TempDir())
	found := time.Now()
	const day = 24 * time.Hour
	keep := func(w ways, after time.Duration) {
		t.Helper()
		if err := c.keepHost("git.example.com", w, found.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	keep(ways{chunk: 2 << 20, noSingle: true}, 0)
	keep(ways{noExpect: true}, day) // of another process, which knows no limit
	all := ways{chunk: 2 << 20, noSingle: true, noExpect: true}
	for after, want := range map[time.Duration]ways{-time.Hour: {}, -365 * day: {}, 0: all, 7*day - time.Minute: all, 7*day + time.Hour: {}, 365 * day: {}} {
		if got := c.host("git.example.com", found.Add(after)); got != want {
			t.Errorf("after %v: got %+v, want %+v", after, got, want)
		}
	}
	if got := c.host("other.example.com", found); got != (ways{}) {
		t.Errorf("of another host %+v is known", got)
	}
	keep(ways{noSingle: true}, 8*day)
	if got := c.host("git.example.com", found.Add(14*day)); got != (ways{noSingle: true}) {
		t.Errorf("what was forgotten is remembered: %+v", got)
	}
}

// An entry that is damaged in any place, cut short, or copied to another key is
// none.
func TestDamagedEntryIsNone(t *testing.T) {
	t.Parallel()
	c := NewCache(t.TempDir())
	want := layerEntry{Digest: testDigest, Size: 7}
	if err := c.keepLayer(testDigest, image.Compression{}, want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, "layers", cacheKey(testDigest, image.Compression{}))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		for what, data := range map[string][]byte{"damaged": damaged, "cut": whole[:i]} {
			put(path, data)
			if got, found := c.layer(testDigest, image.Compression{}); found {
				t.Errorf("%s at byte %d: got %+v", what, i, got)
			}
		}
	}
	zstd := image.Compression{Algorithm: image.Zstd}
	put(filepath.Join(c.dir, "layers", cacheKey(testDigest, zstd)), whole)
	if got, found := c.layer(testDigest, zstd); found {
		t.Errorf("copied to another key: got %+v", got)
	}
	put(path, whole)
	if got, found := c.layer(testDigest, image.Compression{}); !found || got != want {
		t.Errorf("whole again: got %+v, %v", got, found)
	}
}
