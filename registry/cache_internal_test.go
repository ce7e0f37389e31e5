package registry

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// A limit is believed for a week: the proxy may be mended by then. How long ago
// it was found, a clock that was ahead does not tell.
func TestLimitIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	c := NewCache(t.TempDir())
	found := time.Now()
	if err := c.keepHost("git.example.com", 2<<20); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for after, want := range map[time.Duration]int64{-time.Hour: 0, -365 * day: 0, 0: 2 << 20, 7*day - time.Minute: 2 << 20, 7*day + time.Hour: 0, 365 * day: 0} {
		if got := c.host("git.example.com", found.Add(after)); got != want {
			t.Errorf("after %v: got %d, want %d", after, got, want)
		}
	}
	if got := c.host("other.example.com", found); got != 0 {
		t.Errorf("another host has the limit %d", got)
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
