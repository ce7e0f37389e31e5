package cache

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

const cachedDigest = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

// What is known of a host is believed for a week: the proxy may be mended by
// then. How long ago it was found, a clock that was ahead does not tell.
func TestHostIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	c := New(t.TempDir())
	found := time.Now()
	const day = 24 * time.Hour
	keep := func(w Host, after time.Duration) {
		t.Helper()
		if err := c.KeepHost("git.example.com", w, found.Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	known := func(host string, now time.Time) Host {
		e := c.Host(host, now)
		e.Found = time.Time{}
		return e
	}
	keep(Host{Chunk: 2 << 20, NoSingle: true}, 0)
	keep(Host{NoExpect: true}, day) // of another process, which knows no limit
	all := Host{Chunk: 2 << 20, NoSingle: true, NoExpect: true}
	for after, want := range map[time.Duration]Host{-time.Hour: {}, -365 * day: {}, 0: all, 7*day - time.Minute: all, 7*day + time.Hour: {}, 365 * day: {}} {
		if got := known("git.example.com", found.Add(after)); got != want {
			t.Errorf("after %v: got %+v, want %+v", after, got, want)
		}
	}
	if got := known("other.example.com", found); got != (Host{}) {
		t.Errorf("of another host %+v is known", got)
	}
	keep(Host{NoSingle: true}, 8*day)
	if got := known("git.example.com", found.Add(14*day)); got != (Host{NoSingle: true}) {
		t.Errorf("what was forgotten is remembered: %+v", got)
	}
}

// An entry that is damaged in any place, cut short, or copied to another key is
// none.
func TestDamagedEntryIsNone(t *testing.T) {
	t.Parallel()
	c := New(t.TempDir())
	want := Layer{Digest: cachedDigest, Size: 7}
	if err := c.KeepLayer(cachedDigest, image.Compression{}, want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.dir, "layers", cacheKey(cachedDigest, image.Compression{}))
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
			if got, found := c.Layer(cachedDigest, image.Compression{}); found {
				t.Errorf("%s at byte %d: got %+v", what, i, got)
			}
		}
	}
	zstd := image.Compression{Algorithm: image.Zstd}
	put(filepath.Join(c.dir, "layers", cacheKey(cachedDigest, zstd)), whole)
	if got, found := c.Layer(cachedDigest, zstd); found {
		t.Errorf("copied to another key: got %+v", got)
	}
	put(path, whole)
	if got, found := c.Layer(cachedDigest, image.Compression{}); !found || got != want {
		t.Errorf("whole again: got %+v, %v", got, found)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	c := New(filepath.Join(t.TempDir(), "cache"))
	gzip, zstd := image.Compression{}, image.Compression{Algorithm: image.Zstd}
	if _, ok := c.Layer(cachedDigest, gzip); ok {
		t.Error("found in an empty cache")
	}
	want := Layer{Digest: cachedDigest, Size: 7}
	if err := c.KeepLayer(cachedDigest, gzip, want); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Layer(cachedDigest, gzip); !ok || got != want {
		t.Errorf("got %v %v", got, ok)
	}
	if _, ok := c.Layer(cachedDigest, zstd); ok {
		t.Error("found for another compression")
	}
	var none *Cache
	if err := none.KeepLayer(cachedDigest, gzip, want); err != nil {
		t.Error(err)
	}
	if _, ok := none.Layer(cachedDigest, gzip); ok {
		t.Error("found without a cache")
	}
}
