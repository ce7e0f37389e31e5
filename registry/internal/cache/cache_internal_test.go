package cache

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

const cachedDigest = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

// newCache is one that can be written to.
func newCache(t *testing.T, dir string) *Cache {
	t.Helper()
	return New(dir, slog.New(slog.NewTextHandler(failing{t}, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// failing is a log in which nothing may be written.
type failing struct{ t *testing.T }

func (f failing) Write(p []byte) (int, error) {
	f.t.Errorf("%s", p)
	return len(p), nil
}

// What cannot be written is logged.
func TestCacheLogsWhatItCannotWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := New(file, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	c.Learn(Lesson{DiffID: cachedDigest, Layer: Layer{Digest: cachedDigest, Size: 7}})
	if got := log.String(); !strings.Contains(got, "cache: write layers") {
		t.Errorf("got the log %q", got)
	}
}

// A blob is asked for once, and gets all that was learned of it.
func TestAskGivesWhatWasLearned(t *testing.T) {
	t.Parallel()
	c := newCache(t, t.TempDir())
	const host, destination = "git.example.com", "me/app"
	q := Question{Host: host, Repository: destination, DiffID: cachedDigest, Name: "layer.tar"}
	if got := c.Ask(q); got != (Answer{}) {
		t.Errorf("an empty cache has %+v", got)
	}
	layer := Layer{Digest: digest.FromString("compressed"), Size: 7}
	c.Learn(Lesson{DiffID: cachedDigest, Layer: layer})
	if got := c.Ask(q); got != (Answer{Layer: layer}) {
		t.Errorf("got %+v of what was only compressed", got)
	}
	if n := c.Pushed(host, []digest.Digest{cachedDigest}); n != 0 {
		t.Error("what was only compressed counts as pushed")
	}
	c.Learn(Lesson{DiffID: cachedDigest, Layer: layer, Host: host, Repository: destination, Name: "layer.tar"})
	c.KeepHolder(host, "me/other", layer.Digest)
	if got, want := c.Ask(q), (Answer{Layer: layer, Holder: "me/other", Named: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := c.Ask(Question{Host: host, Repository: "me/other", Digest: layer.Digest}); got != (Answer{Holder: "me/other"}) {
		t.Errorf("got %+v of the blob in its own repository", got)
	}
	if n := c.Pushed(host, []digest.Digest{cachedDigest}); n != 1 {
		t.Error("what was pushed is not known")
	}
}

// What is known of a host is believed for a week: the proxy may be mended by
// then. How long ago it was found, a clock that was ahead does not tell.
func TestHostIsForgottenAfterAWeek(t *testing.T) {
	t.Parallel()
	c := newCache(t, t.TempDir())
	found := time.Now()
	const day = 24 * time.Hour
	keep := func(w Host, after time.Duration) {
		t.Helper()
		c.KeepHost("git.example.com", w, found.Add(after))
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
	c := newCache(t, t.TempDir())
	want := Layer{Digest: cachedDigest, Size: 7}
	c.Learn(Lesson{DiffID: cachedDigest, Form: image.Compression{}, Layer: want})
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
	c := newCache(t, filepath.Join(t.TempDir(), "cache"))
	gzip, zstd := image.Compression{}, image.Compression{Algorithm: image.Zstd}
	if _, ok := c.Layer(cachedDigest, gzip); ok {
		t.Error("found in an empty cache")
	}
	want := Layer{Digest: cachedDigest, Size: 7}
	c.Learn(Lesson{DiffID: cachedDigest, Form: gzip, Layer: want})
	if got, ok := c.Layer(cachedDigest, gzip); !ok || got != want {
		t.Errorf("got %v %v", got, ok)
	}
	if _, ok := c.Layer(cachedDigest, zstd); ok {
		t.Error("found for another compression")
	}
	var none *Cache
	none.Learn(Lesson{DiffID: cachedDigest, Form: gzip, Layer: want})
	if _, ok := none.Layer(cachedDigest, gzip); ok {
		t.Error("found without a cache")
	}
}
