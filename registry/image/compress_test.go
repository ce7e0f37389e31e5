package image_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// sample is n bytes that compress about as well as a layer: text of a small
// vocabulary, with stretches that do not compress at all.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var words []string
	for range 2000 {
		word := make([]byte, 3+r.IntN(9))
		for i := range word {
			word[i] = byte('a' + r.IntN(26))
		}
		words = append(words, string(word))
	}
	var buf bytes.Buffer
	for buf.Len() < n {
		if r.IntN(8000) == 0 {
			for range 8192 {
				buf.WriteByte(byte(r.Uint32()))
			}
		}
		buf.WriteString(words[r.IntN(len(words))])
		buf.WriteByte(' ')
	}
	return buf.Bytes()[:n]
}

// compress writes data in pieces of the given size.
func compress(tb testing.TB, c image.Compression, data []byte, piece int) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := c.NewWriter(&buf)
	if err != nil {
		tb.Fatal(err)
	}
	for len(data) > 0 {
		n := min(piece, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			tb.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

var everyCompression = []image.Compression{
	{},
	{Level: 1},
	{Level: 3},
	{Level: 9},
	{Algorithm: image.Zstd},
	{Algorithm: image.Zstd, Level: 1},
	{Algorithm: image.Zstd, Level: 9},
	{Algorithm: image.None},
}

// The digest of a compressed layer must not depend on the machine, or else no
// two machines would share a layer (moby/moby#30852).
func TestCompressionIsTheSameEverywhere(t *testing.T) {
	data := sample(2<<20 + 12345)
	for _, c := range everyCompression {
		t.Run(c.String(), func(t *testing.T) {
			want := digest.FromBytes(compress(t, c, data, 32<<10))
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
			for _, procs := range []int{1, 2, 4, 8} {
				runtime.GOMAXPROCS(procs)
				for _, piece := range []int{4000, len(data)} {
					if got := digest.FromBytes(compress(t, c, data, piece)); got != want {
						t.Errorf("%d processors, writes of %d bytes: got %s, want %s", procs, piece, got, want)
					}
				}
			}
		})
	}
}

// A library that compresses differently after an update changes the digest of
// every layer; that has to be a decision.
func TestCompressionIsTheSameForever(t *testing.T) {
	data := sample(3<<20 + 12345)
	for c, want := range map[image.Compression]digest.Digest{
		{}:                      goldenGzip,
		{Algorithm: image.Zstd}: goldenZstd,
	} {
		if got := digest.FromBytes(compress(t, c, data, 1<<20)); got != want {
			t.Errorf("%s: got %s, want %s", c, got, want)
		}
	}
}

const (
	goldenGzip digest.Digest = "sha256:4655120227a05ec5ad0d01b1d8f53f1ad71100dd121ccc38d149356c87b6039b"
	goldenZstd digest.Digest = "sha256:9d779a18abc8ffe7a8dde910214b95d3b87feb8476a6cabf91e698894efe2d2f"
)

func TestCompressionRoundTrip(t *testing.T) {
	for _, c := range everyCompression {
		for _, size := range []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 2<<20 + 1} {
			data := sample(size)
			compressed := compress(t, c, data, 100_000)
			r, err := c.NewReader(io.NopCloser(bytes.NewReader(compressed)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s, %d bytes: got %d other bytes (%v)", c, size, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCompressionIsReadByOthers(t *testing.T) {
	data := sample(1 << 20)
	z, err := gzip.NewReader(bytes.NewReader(compress(t, image.Compression{}, data, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	if !z.ModTime.IsZero() || z.Name != "" || z.Comment != "" || z.Extra != nil {
		t.Errorf("got a header with %+v, want an empty one", z.Header)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, data) {
		t.Errorf("gzip: got %d other bytes (%v)", len(got), err)
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if got, err := d.DecodeAll(compress(t, image.Compression{Algorithm: image.Zstd}, data, 1000), nil); err != nil || !bytes.Equal(got, data) {
		t.Errorf("zstd: got %d other bytes (%v)", len(got), err)
	}
}

func TestParseCompression(t *testing.T) {
	for text, want := range map[string]struct {
		compression image.Compression
		printed     string
		fault       string
	}{
		"":        {printed: "gzip:6"},
		"gzip":    {compression: image.Compression{Algorithm: "gzip"}, printed: "gzip:6"},
		"gzip:6":  {compression: image.Compression{Algorithm: "gzip", Level: 6}, printed: "gzip:6"},
		"zstd":    {compression: image.Compression{Algorithm: "zstd"}, printed: "zstd:3"},
		"zstd:19": {compression: image.Compression{Algorithm: "zstd", Level: 19}, printed: "zstd:19"},
		"none":    {compression: image.Compression{Algorithm: "none"}, printed: "none"},
		"xz":      {fault: `compression "xz" is not one of gzip, zstd, none`},
		"gzip:10": {fault: "compression level 10 is not between 0 and 9, as gzip has them"},
		"gzip:-1": {fault: "compression level -1 is not between 0 and 9, as gzip has them"},
		":10":     {fault: "compression level 10 is not between 0 and 9, as gzip has them"},
		"none:1":  {fault: "compression level 1 is not between 0 and 0, as none has them"},
		"zstd:":   {fault: `compression "zstd:": the level is not a number above 0`},
		"gzip:0":  {fault: `compression "gzip:0": the level is not a number above 0`},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := image.ParseCompression(text)
			switch {
			case want.fault != "":
				if err == nil || err.Error() != want.fault {
					t.Errorf("got %v, want %s", err, want.fault)
				}
			case err != nil:
				t.Error(err)
			case got != want.compression || got.String() != want.printed:
				t.Errorf("got %+v, %s; want %+v, %s", got, got, want.compression, want.printed)
			}
		})
	}
}

var errFull = errors.New("the other end is gone")

// full takes n bytes and fails.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A failed upload must not leave the compressor's goroutines behind; goleak
// looks for them when the tests end.
func TestCompressionFails(t *testing.T) {
	data := sample(4 << 20)
	for _, c := range everyCompression {
		for _, room := range []int{0, 9, 10_000, 1 << 20} {
			w, err := c.NewWriter(&full{n: room})
			if err != nil {
				t.Fatal(err)
			}
			_, writeErr := io.Copy(w, bytes.NewReader(data))
			if err = errors.Join(writeErr, w.Close()); !errors.Is(err, errFull) {
				t.Errorf("%s, room for %d: got %v, want %v", c, room, err, errFull)
			}
			// The writer may never look at the error of Close.
			if writeErr != nil && !errors.Is(writeErr, errFull) {
				t.Errorf("%s, room for %d: Write gave %v, which hides %v", c, room, writeErr, errFull)
			}
		}
	}
	if _, err := (image.Compression{Algorithm: "lzma"}).NewWriter(io.Discard); err == nil {
		t.Error("got a writer for an unknown algorithm")
	}
}

func TestDecompressionFails(t *testing.T) {
	for _, algorithm := range []string{image.Gzip, image.Zstd} {
		c := image.Compression{Algorithm: algorithm}
		data := compress(t, c, sample(1<<20), 1<<20)
		for name, broken := range map[string]io.Reader{
			"not compressed": strings.NewReader("plain text, which is not compressed"),
			"cut off":        bytes.NewReader(data[:len(data)/2]),
		} {
			r, err := c.NewReader(io.NopCloser(broken))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if err == nil {
				t.Errorf("%s, %s: got no error", algorithm, name)
			}
		}
	}
}

// BenchmarkCompress has the standard library's gzip in it, as the measure.
func BenchmarkCompress(b *testing.B) {
	data := sample(16 << 20)
	writers := map[string]func(io.Writer) (io.WriteCloser, error){
		"std-gzip:1": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) },
		"std-gzip:6": func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 6) },
	}
	for _, c := range []image.Compression{{}, {Level: 1}, {Level: 3}, {Algorithm: image.Zstd}, {Algorithm: image.Zstd, Level: 3}} {
		writers[c.String()] = c.NewWriter
	}
	for _, size := range []int{10 << 10, len(data)} {
		for name, newWriter := range writers {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				var out countingWriter
				for b.Loop() {
					out = 0
					w, err := newWriter(&out)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(w, bytes.NewReader(data[:size])); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(out)/float64(size), "ratio")
			})
		}
	}
}

type countingWriter int64

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}

func FuzzParseCompression(f *testing.F) {
	for _, seed := range []string{"", "gzip", "zstd:3", "none", "gzip:10", "zstd:-1", "none:1", "gzip:", ":", "gzip:00000000000000000009"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := image.ParseCompression(text)
		if err != nil {
			if strings.ContainsFunc(err.Error(), unprintable) {
				t.Errorf("got %q, which a terminal would obey", err)
			}
			return
		}
		if again, err := image.ParseCompression(c.String()); err != nil || again.String() != c.String() {
			t.Errorf("%q is %v, then %v (%v)", text, c, again, err)
		}
	})
}

// FuzzDecompress takes anything for compressed bytes.
func FuzzDecompress(f *testing.F) {
	f.Add("gzip", gzipped(f, []byte("text")))
	f.Add("zstd", zstandard(f, []byte("text")))
	f.Add("zstd", []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 0})
	f.Add("none", []byte("text"))
	f.Fuzz(func(t *testing.T, algorithm string, data []byte) {
		r, err := image.Compression{Algorithm: algorithm}.NewReader(io.NopCloser(bytes.NewReader(data)))
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, r, 8<<20) // what is wrong with it is no matter
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}
