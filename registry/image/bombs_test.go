package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Bombs: what is far more, unpacked or understood, than it is to send must
// neither be held in memory, nor be read for long before it is refused.
func TestBombs(t *testing.T) {
	const (
		size    = 64 << 20
		endless = math.MaxInt64
	)
	blob := "blobs/sha256/" + strings.Repeat("a", 64)
	for name, test := range map[string]struct {
		content io.Reader
		kind    error
		// most is how many bytes may be read until it is refused.
		most int64
	}{
		"zeros":                    {zeroes{}, image.ErrNotImage, 3 << 20},
		"a big file":               {io.MultiReader(bytes.NewReader(header(t, "version", size)), io.LimitReader(zeroes{}, size)), image.ErrTruncated, size + 1<<20},
		"a big JSON":               {io.MultiReader(bytes.NewReader(header(t, "manifest.json", size)), strings.NewReader("{"), io.LimitReader(zeroes{}, size-1)), image.ErrTruncated, size + 1<<20},
		"a big blob":               {io.MultiReader(bytes.NewReader(header(t, blob, size)), io.LimitReader(zeroes{}, size)), image.ErrDigest, size + 1<<20},
		"10 GB, and 64 MiB of it":  {io.MultiReader(bytes.NewReader(header(t, blob, 10<<30)), io.LimitReader(zeroes{}, size)), image.ErrTruncated, size + 1<<20},
		"8 EiB":                    {io.MultiReader(bytes.NewReader(header(t, blob, math.MaxInt64)), zeroes{}), image.ErrLimit, 2 << 20},
		"much metadata":            {io.LimitReader(documents(t), 16*(4<<20+512)), image.ErrDigest, size + 1<<20},
		"files without end":        {repeat(func(i int) []byte { return header(t, strconv.Itoa(i), 0) }), image.ErrLimit, 34 << 20},
		"directories without end":  {repeat(func(int) []byte { return header(t, "x/", 0) }), image.ErrLimit, 34 << 20},
		"long names":               {repeat(func(i int) []byte { return header(t, fmt.Sprint(strings.Repeat("x", 900_000), i), 0) }), image.ErrLimit, 20 << 20},
		"long links":               {repeat(func(i int) []byte { return link(t, strconv.Itoa(i), strings.Repeat("x", 900_000)) }), image.ErrLimit, 20 << 20},
		"extended headers, no end": {repeat(func(int) []byte { return extended(t) }), image.ErrLimit, 3 << 20},
		"global headers, no end":   {repeat(func(int) []byte { return global(t) }), image.ErrLimit, 68 << 20},
		"sparse map, no end":       {io.MultiReader(bytes.NewReader(oldSparse(t)), repeat(func(int) []byte { return sparseMap })), image.ErrLimit, 3 << 20},
		"end marker, then no end":  {io.MultiReader(bytes.NewReader(pack(t, entry{name: "a", data: []byte("b")})), io.LimitReader(zeroes{}, endless)), image.ErrNotImage, 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			watched := &watcher{r: test.content}
			err := readAll(t, &lazyGzip{source: watched}, nil)
			if fault, ok := errors.AsType[*image.Error](err); !ok || !errors.Is(err, test.kind) {
				t.Errorf("got %v (%T), want %v", err, fault, test.kind)
			}
			if watched.read > test.most {
				t.Errorf("%d bytes were read until it was refused: %v", watched.read, err)
			}
			if watched.peak > 48<<20 {
				t.Errorf("the heap grew by %d MiB", watched.peak>>20)
			}
			t.Logf("the heap grew by %d KiB, %d KiB were read: %v", watched.peak>>10, watched.read>>10, err)
		})
	}
}

// readAll reads a stream to its end, or to what is wrong with it.
func readAll(t *testing.T, r io.Reader, o *image.Options) (err error) {
	t.Helper()
	s, err := image.Read(r, "standard input", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for err == nil {
		var b *image.Blob
		if b, err = s.Next(t.Context()); err == nil {
			err = read(b)
		}
	}
	return err
}

// Documents that are small, and much to understand. All that is allocated is
// counted, which is more than was ever in use, and a measure of the time.
func TestCostlyDocuments(t *testing.T) {
	shared := newLayout(t)
	config := shared.blob(ocispec.MediaTypeImageConfig, bytes.Replace(configJSON(t, amd64), []byte("{"), []byte(`{"x":"`+strings.Repeat("x", 3<<20)+`",`), 1))
	var same []ocispec.Descriptor
	for i := range 2_000 {
		data := mustJSON(t, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "config": config, "layers": []any{}, "annotations": map[string]string{"n": strconv.Itoa(i)}})
		same = append(same, shared.blob(ocispec.MediaTypeImageManifest, data))
	}
	good := newLayout(t)
	entries := good.finish(good.image(amd64, "a")).entries()
	images := func(n int) []byte {
		var all []ocispec.Descriptor
		for i := range n {
			all = append(all, ocispec.Descriptor{Digest: digest.FromString(strconv.Itoa(i))})
		}
		return indexJSON(t, all...)
	}
	index := func(data []byte) []byte { return pack(t, replace(entries, "index.json", data)...) }
	for name, test := range map[string]struct {
		data []byte
		opts *image.Options
		kind error
	}{
		"one config of 2,000 images": {shared.finish(shared.nested(same...)).tar(), &image.Options{Platform: "linux/amd64"}, image.ErrAmbiguous},
		"100,000 layers":             {index(listOf(`{"digest":"`+string(config.Digest)+`","size":1}`, 100_000)), nil, image.ErrLimit},
		"20,000 images":              {index(images(20_000)), nil, image.ErrAmbiguous},
		"a million empty objects":    {index(listOf("{}", 1_000_000)), nil, image.ErrLimit},
		"brackets in brackets":       {index(bytes.Repeat([]byte("["), 4<<20)), nil, image.ErrLimit},
		"keys in keys":               {index(bytes.Repeat([]byte(`{"a":`), 800_000)), nil, image.ErrLimit},
		"300,000 keys":               {index(keys(300_000)), nil, image.ErrLimit},
		"a string of 4 MiB":          {index([]byte(`{"schemaVersion":2,"manifests":[],"x":"` + strings.Repeat("x", 4<<20-100) + `"}`)), nil, image.ErrNotImage},
	} {
		t.Run(name, func(t *testing.T) {
			all := ways(t, test.data)
			for _, way := range []string{"file", "stream"} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := pushFrom(t, all[way], test.opts)
				runtime.ReadMemStats(&after)
				if !errors.Is(err, test.kind) {
					t.Errorf("%s: got %v, want %v", way, err, test.kind)
				}
				allocated := after.TotalAlloc - before.TotalAlloc
				if allocated > 128<<20 {
					t.Errorf("%s: %d MiB were allocated", way, allocated>>20)
				}
				t.Logf("%s: %d KiB were allocated: %v", way, allocated>>10, err)
			}
		})
	}
}

// keys is an object with n keys.
func keys(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `,"%d":0`, i)
	}
	return append(append([]byte("{"), b.Bytes()[1:]...), '}')
}

func read(b *image.Blob) error {
	r, err := b.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

// watcher looks at the heap while it is read.
type watcher struct {
	r                       io.Reader
	read, seen, start, peak int64
}

func (w *watcher) Read(p []byte) (int, error) {
	if w.read%(16<<20) == 0 && (w.read > w.seen || w.read == 0) {
		w.seen = w.read
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		if w.read == 0 {
			w.start = int64(m.HeapAlloc)
		}
		w.peak = max(w.peak, int64(m.HeapAlloc)-w.start)
	}
	n, err := w.r.Read(p[:min(int64(len(p)), 16<<20-w.read%(16<<20))])
	w.read += int64(n)
	return n, err
}

// A zstd frame can demand a window of gigabytes of the decoder.
func TestWindowBomb(t *testing.T) {
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.LimitReader(zeroes{}, 300<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = image.Open(file(t, buf.Bytes()), nil)
	if err == nil || !strings.Contains(err.Error(), "needs a zstd window of more than 128 MiB") {
		t.Errorf("got %v", err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// lazyGzip is the gzip of its source, made while it is read.
type lazyGzip struct {
	source io.Reader
	buf    bytes.Buffer
	w      *gzip.Writer
}

func (l *lazyGzip) Read(p []byte) (int, error) {
	if l.w == nil {
		var err error
		if l.w, err = gzip.NewWriterLevel(&l.buf, gzip.BestSpeed); err != nil {
			return 0, err
		}
	}
	for l.buf.Len() == 0 {
		n, err := io.CopyN(l.w, l.source, 1<<20)
		if n == 0 && err != nil {
			return 0, err
		}
		if err := l.w.Flush(); err != nil {
			return 0, err
		}
	}
	return l.buf.Read(p)
}

// repeat gives one piece after the other, without end.
func repeat(piece func(int) []byte) io.Reader { return &repeater{piece: piece} }

type repeater struct {
	piece func(int) []byte
	n     int
	left  []byte
}

func (r *repeater) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.left = r.piece(r.n)
		r.n++
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// documents are JSON files of 4 MiB, without end.
func documents(tb testing.TB) io.Reader {
	tb.Helper()
	spaces := bytes.Repeat([]byte(" "), 4<<20-1)
	return repeat(func(i int) []byte {
		name := "blobs/sha256/" + digest.FromString(strconv.Itoa(i)).Encoded()
		return append(append(header(tb, name, 4<<20), '{'), spaces...)
	})
}

func link(tb testing.TB, name, target string) []byte {
	tb.Helper()
	return headerOf(tb, &tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink})
}

func global(tb testing.TB) []byte {
	tb.Helper()
	return headerOf(tb, &tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}})
}

// extended is an extended header, for a file that does not follow.
func extended(tb testing.TB) []byte {
	tb.Helper()
	return headerOf(tb, &tar.Header{Name: "x", PAXRecords: map[string]string{"X.comment": strings.Repeat("x", 900)}})[:3*512]
}

// oldSparse begins a file in GNU's old sparse format, with more of its map to
// come.
func oldSparse(tb testing.TB) []byte {
	tb.Helper()
	data := retyped(tb, tar.TypeGNUSparse)
	copy(data[386:], bytes.Repeat([]byte("00000000001\x0000000000001\x00"), 4))
	data[482] = 1
	return sum(data)
}

// sparseMap goes on in such a map, with more to come.
var sparseMap = append(bytes.Repeat([]byte("00000000001\x0000000000001\x00"), 21), "\x01\x00\x00\x00\x00\x00\x00\x00"...)

func header(tb testing.TB, name string, size int64) []byte {
	tb.Helper()
	return headerOf(tb, &tar.Header{Name: name, Size: size, Mode: 0o644})
}

func headerOf(tb testing.TB, h *tar.Header) []byte {
	tb.Helper()
	var buf bytes.Buffer
	if err := tar.NewWriter(&buf).WriteHeader(h); err != nil {
		tb.Fatal(err)
	}
	return append(buf.Bytes(), make([]byte, -buf.Len()&511)...)
}
