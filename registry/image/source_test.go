package image_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The manifest that we make is the same for ever: the same image pushed again
// has to have the same digest.
func TestGoldenManifests(t *testing.T) {
	a, b := layerTar(t, "a"), layerTar(t, "b")
	data := pack(t, legacy(t, a, b, a)...)
	for name, compression := range map[string]image.Compression{
		"gzip": {}, "zstd": {Algorithm: image.Zstd}, "none": {Algorithm: image.None},
	} {
		for way, open := range ways(t, data) {
			p, err := pushFrom(t, open, &image.Options{Compression: compression})
			if err != nil {
				t.Fatalf("%s, %s: %v", name, way, err)
			}
			golden := filepath.Join("testdata", "manifest-"+name+".json")
			if *update {
				write(t, golden, p.image.Root.Data)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.image.Root.Data, want) {
				t.Errorf("%s, %s: got %s, want %s", name, way, p.image.Root.Data, want)
			}
		}
	}
}

// Only what fixes every byte that is pushed is the ID of a source.
func TestSourceID(t *testing.T) {
	raw := layerTar(t, "a")
	config := configJSON(t, amd64, raw)
	archive := func(layer []byte) []byte {
		manifest := []map[string]any{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": []string{"a/layer.tar"}}}
		return pack(t, entry{name: "config.json", data: config}, entry{name: "a/layer.tar", data: layer}, entry{name: "manifest.json", data: mustJSON(t, manifest)})
	}
	for name, test := range map[string]struct {
		data []byte
		want digest.Digest
	}{
		"raw layers":        {archive(raw), digest.FromBytes(config)},
		"compressed layers": {archive(gzipped(t, raw)), ""},
	} {
		path := filepath.Join(t.TempDir(), "image.tar")
		write(t, path, test.data)
		s, err := image.Open(path, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := s.ID(); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if s, err = image.Read(bytes.NewReader(test.data), "stream", nil); err != nil || s.ID() != "" {
			t.Errorf("%s: a stream has the ID %q (%v)", name, s.ID(), err)
		}
	}
}

// Archives may hold layers that are compressed: their bytes stay.
func TestCompressedLayersInArchive(t *testing.T) {
	raw := [][]byte{layerTar(t, "a"), layerTar(t, "b"), layerTar(t, "c")}
	packed := [][]byte{gzipped(t, raw[0]), zstandard(t, raw[1]), raw[2]}
	archive := func(n int, names ...string) []byte {
		config := configJSON(t, amd64, raw[:n]...)
		entries := []entry{{name: digest.FromBytes(config).String(), data: config}}
		for i, name := range names {
			entries = append(entries, entry{name: name, data: packed[i]})
		}
		manifest := []map[string]any{{"Config": digest.FromBytes(config).String(), "RepoTags": []string{"app:1"}, "Layers": names}}
		return pack(t, append(entries, entry{name: "manifest.json", data: mustJSON(t, manifest)})...)
	}
	for name, test := range map[string]struct {
		data  []byte
		types []string
	}{
		"crane": {archive(1, digest.FromBytes(packed[0]).Encoded()+".tar.gz"), []string{dockerLayerGzip}},
		"blobs": {archive(1, blobPath(digest.FromBytes(packed[0]))), []string{dockerLayerGzip}},
		"mixed": {archive(3, "a/layer.tar", "b/layer.tar", "c/layer.tar"), []string{ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd, ocispec.MediaTypeImageLayerGzip}},
	} {
		t.Run(name, func(t *testing.T) {
			for way, open := range ways(t, test.data) {
				p, err := pushFrom(t, open, nil)
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				for i, want := range test.types {
					layer := p.image.Root.References[i+1]
					if layer.MediaType != want {
						t.Errorf("%s: layer %d: got %s, want %s", way, i, layer.MediaType, want)
					}
					if i < 2 && layer.Digest != digest.FromBytes(packed[i]) {
						t.Errorf("%s: layer %d was changed", way, i)
					}
				}
				if len(p.lacks()) > 0 {
					t.Errorf("%s: lacks %v", way, p.lacks())
				}
			}
		})
	}
}

// Layers of Windows may be left out of an archive, and are then described.
func TestExternalLayerInArchive(t *testing.T) {
	base, top := layerTar(t, "base"), layerTar(t, "top")
	external := ocispec.Descriptor{
		MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: digest.FromString("base.gz"), Size: 77,
		URLs: []string{"https://example.com/base"},
	}
	config := configJSON(t, ocispec.Platform{OS: "windows", Architecture: "amd64"}, base, top)
	manifest := mustJSON(t, []map[string]any{{
		"Config": "c.json", "Layers": []string{"1/layer.tar", "2/layer.tar"},
		"LayerSources": map[digest.Digest]ocispec.Descriptor{digest.FromBytes(base): external},
	}})
	without := []entry{{name: "2/layer.tar", data: top}, {name: "c.json", data: config}, {name: "manifest.json", data: manifest}}
	for way, open := range ways(t, pack(t, without...)) {
		p, err := pushFrom(t, open, nil)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		if got := p.image.Root.References[1]; got.Digest != external.Digest || got.MediaType != external.MediaType || len(p.image.Missing) != 1 {
			t.Errorf("%s: got %+v, missing %v", way, got, p.image.Missing)
		}
	}
	for way, open := range ways(t, pack(t, append(without, entry{name: "1/layer.tar", data: base})...)) {
		p, err := pushFrom(t, open, nil)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		if got := p.image.Root.References[1]; got.MediaType != dockerLayerGzip || len(p.image.Missing) != 0 || len(p.lacks()) != 0 {
			t.Errorf("%s: got %+v, missing %v", way, got, p.image.Missing)
		}
	}
}

func TestUnpackedArchive(t *testing.T) {
	dir := t.TempDir()
	for _, e := range legacy(t, layerTar(t, "a"), layerTar(t, "b"), layerTar(t, "a")) {
		path := filepath.Join(dir, filepath.FromSlash(e.name))
		if e.link == "" {
			write(t, path, e.data)
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(e.link, path)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "manifest-gzip.json"))
	if err != nil {
		t.Fatal(err)
	}
	// The same layers in the order a, b, a as in the golden archive.
	if !bytes.Equal(p.image.Root.Data, want) || len(p.blobs) != 3 {
		t.Errorf("got %s and %d blobs, want %s and 3", p.image.Root.Data, len(p.blobs), want)
	}
}

// A named pipe, as shells make of <(docker save app), is a stream.
func TestOpenPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := mkfifo(path); err != nil {
		t.Fatal(err)
	}
	data := classic(t, layerTar(t, "a")).tar()
	done := make(chan error)
	go func() { done <- os.WriteFile(path, data, 0o600) }()
	p, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(path, o) }, nil)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if len(p.lacks()) > 0 {
		t.Errorf("lacks %v", p.lacks())
	}
}

// Blobs of a source at rest are read by many, again and again; the largest
// comes first, and nothing that the image does not need.
func TestReadInParallel(t *testing.T) {
	l := newLayout(t)
	wanted := l.image(amd64, "a", "bb", "ccc", "dddd")
	l.finish(called(wanted, refName, "1"), called(l.image(amd64, "unwanted"), refName, "2"))
	for name, path := range map[string]string{"file": file(t, l.tar()), "directory": l.dir()} {
		t.Run(name, func(t *testing.T) {
			s, err := image.Open(path, &image.Options{Name: "1"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var wg sync.WaitGroup
			var blobs []*image.Blob
			for {
				b, err := s.Next(t.Context())
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if b.Once || b.Compress || b.Digest == "" {
					t.Errorf("got %+v", b)
				}
				blobs = append(blobs, b)
				for range 3 {
					wg.Go(func() {
						if err := read(b); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			if len(blobs) != 5 || !slices.IsSortedFunc(blobs, func(a, b *image.Blob) int { return int(b.Size - a.Size) }) {
				t.Errorf("got %d blobs, want 5, the largest first", len(blobs))
			}
			if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("got %v, want %v", err, io.EOF)
			}
		})
	}
}

func TestStreamIsReadOnce(t *testing.T) {
	data := classic(t, layerTar(t, "a"), layerTar(t, "b")).tar()
	s, err := image.Read(bytes.NewReader(data), "standard input", nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !first.Once || !first.Compress || first.Encoding != image.EncodingTar || first.Digest == "" {
		t.Errorf("got %+v", first)
	}
	r, err := first.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Open(); err == nil || !strings.Contains(err.Error(), "was read already, and the source is a stream") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Finish(nil); err == nil || !strings.Contains(err.Error(), "was not read to its end") {
		t.Errorf("got %v", err)
	}
	second, err := s.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 10)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v from a blob that has passed", err)
	}
	r, err = second.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // unread: the registry has it
		t.Fatal(err)
	}
	if _, err := s.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatalf("got %v, want %v", err, io.EOF)
	}
	if _, err := s.Finish(nil); err == nil || !strings.Contains(err.Error(), "was not sent") {
		t.Errorf("got %v", err)
	}
	sent := map[string]image.Sent{}
	for _, b := range []*image.Blob{first, second} {
		sent[b.Name] = image.Sent{Digest: digest.FromString("compressed " + b.Name), Size: 5, DiffID: b.Digest}
	}
	got, err := s.Finish(sent)
	if err != nil || len(got.Blobs) != 1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	for range 2 { // What was kept can be read again.
		if err := read(got.Blobs[0]); err != nil {
			t.Error(err)
		}
	}
	sent[first.Name] = image.Sent{Digest: "sha256:x", DiffID: digest.FromString("other")}
	if _, err := s.Finish(sent); !errors.Is(err, image.ErrDigest) {
		t.Errorf("got %v, want %v", err, image.ErrDigest)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	data := pack(t, entry{name: "readme", data: bytes.Repeat([]byte("text "), 2<<20)})
	interrupting := io.MultiReader(bytes.NewReader(data[:4<<20]), readerFunc(func([]byte) (int, error) {
		cancel(cause)
		return 0, nil
	}), zeroes{})
	s, err := image.Read(interrupting, "standard input", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Next(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if _, err := s.Next(ctx); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	n, err := f(p)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

// What the stream's own reader reports reaches the caller.
func TestReaderFails(t *testing.T) {
	data := classic(t, layerTar(t, "a"), layerTar(t, "b")).tar()
	cause := errors.New("connection lost")
	for _, at := range []int{0, 100, 600, 2000, len(data) - 300} {
		broken := io.MultiReader(bytes.NewReader(data[:at]), readerFunc(func([]byte) (int, error) { return 0, cause }))
		_, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Read(broken, "the daemon", o) }, nil)
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "the daemon: ") {
			t.Errorf("after %d bytes: got %v, want %v", at, err, cause)
		}
	}
}

func TestParseManifest(t *testing.T) {
	l := newLayout(t)
	desc := l.image(amd64, "a")
	m, err := image.ParseManifest(desc.MediaType, l.files[blobPath(desc.Digest)])
	if err != nil || m.Descriptor.Digest != desc.Digest || m.Descriptor.MediaType != desc.MediaType || len(m.References) != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	m, err = image.ParseManifest("", []byte(`{"schemaVersion":2,"manifests":[]}`))
	if err != nil || m.Descriptor.MediaType != ocispec.MediaTypeImageIndex {
		t.Errorf("got %+v, %v", m, err)
	}
	if _, err := image.ParseManifest("", []byte(`{"schemaVersion":1}`)); err == nil {
		t.Error("got no error for schema version 1")
	}
}

// BenchmarkSource reads 64 MiB of layers, digests compared.
func BenchmarkSource(b *testing.B) {
	l := newLayout(b)
	var layers []ocispec.Descriptor
	for i := range 16 {
		layers = append(layers, l.blob(ocispec.MediaTypeImageLayerGzip, gzipped(b, sample(4<<20+i))))
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: layers}
	m.SchemaVersion = 2
	m.Config = l.blob(ocispec.MediaTypeImageConfig, configJSON(b, amd64))
	data := l.finish(l.blob(m.MediaType, mustJSON(b, m))).tar()
	path := file(b, data)
	for name, open := range map[string]func() (*image.Source, error){
		"file":   func() (*image.Source, error) { return image.Open(path, nil) },
		"stream": func() (*image.Source, error) { return image.Read(bytes.NewReader(data), "standard input", nil) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				s, err := open()
				if err != nil {
					b.Fatal(err)
				}
				for {
					blob, err := s.Next(b.Context())
					if errors.Is(err, io.EOF) {
						break
					}
					if err = errors.Join(err, read(blob)); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	l := newLayout(f)
	desc := l.image(amd64, "a")
	f.Add(desc.MediaType, l.files[blobPath(desc.Digest)])
	f.Add("", indexJSON(f, desc))
	f.Add(dockerManifest, []byte(`{"schemaVersion":2,"config":{"digest":"sha256:.."},"layers":[{"size":-1}]}`))
	f.Add("", []byte(`{"schemaVersion":2,"manifests":[],"layers":[]}`))
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		m, err := image.ParseManifest(mediaType, data)
		if err != nil {
			known(t, err)
			return
		}
		if m.Descriptor.MediaType == "" || !json.Valid(m.Data) {
			t.Errorf("got %+v", m)
		}
		for _, ref := range m.References {
			if ref.Digest.Validate() != nil || ref.Size < 0 {
				t.Errorf("got the reference %+v", ref)
			}
		}
	})
}

// FuzzIndex puts anything in the place of index.json.
func FuzzIndex(f *testing.F) {
	l := newLayout(f)
	desc := l.image(amd64, "a")
	arm := l.image(arm64, "b")
	index := l.nested(desc, arm)
	f.Add(indexJSON(f, desc), "", "")
	f.Add(indexJSON(f, desc, arm), "", "linux/arm64")
	f.Add(indexJSON(f, called(index, refName, "v1")), "v1", "")
	f.Fuzz(func(t *testing.T, data []byte, name, platform string) {
		l := &layout{tb: t, files: l.files, order: slices.Clone(l.order)}
		entries := append(l.entries(), entry{name: "index.json", data: data}, entry{name: "oci-layout", data: []byte(`{"imageLayoutVersion":"1.0.0"}`)})
		o := &image.Options{Name: name, Platform: platform}
		same(t, pack(t, entries...), o)
	})
}

// FuzzArchive reads anything as a file and as a stream: neither may fail badly,
// and what both accept has to be the same image.
func FuzzArchive(f *testing.F) {
	f.Add(pack(f, legacy(f, layerTar(f, "a"), layerTar(f, "b"), layerTar(f, "a"))...))
	f.Add(classic(f, layerTar(f, "a")).tar())
	l := newLayout(f)
	f.Add(l.finish(l.image(amd64, "a")).tar())
	f.Add(gzipped(f, l.tar()))
	f.Add(zstandard(f, l.tar()))
	for _, test := range malformed(f) {
		if len(test.data) < 64<<10 {
			f.Add(test.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { same(t, data, nil) })
}

// FuzzDockerArchive puts anything in the place of the documents of a docker
// archive.
func FuzzDockerArchive(f *testing.F) {
	entries := legacy(f, layerTar(f, "a"), layerTar(f, "b"))
	config, manifest := len(entries)-3, len(entries)-2
	f.Add(entries[manifest].data, entries[config].data, "", "")
	f.Add(entries[manifest].data, entries[config].data, "app:1", "linux/arm64")
	f.Add([]byte(`[{"Config":"../a","Layers":["/b"]}]`), []byte(`{"rootfs":{"type":"layers","diff_ids":["sha256:../c"]}}`), "docker.io/library/app:1", "")
	f.Add([]byte(`[{"RepoTags":["\u001b[2J"]},{"Config":"b","config":"c"}]`), []byte(`{}`), "b", "windows(10.0)/amd64")
	f.Fuzz(func(t *testing.T, manifestData, configData []byte, name, platform string) {
		entries := slices.Clone(entries)
		entries[manifest].data, entries[config].data = manifestData, configData
		same(t, pack(t, entries...), &image.Options{Name: name, Platform: platform})
	})
}

// known checks that err is one of ours, and fit for a terminal.
func known(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*image.Error](err); !ok {
		t.Errorf("got %v, want an *image.Error", err)
	}
	if strings.ContainsFunc(err.Error(), unprintable) {
		t.Errorf("got %q, which a terminal would obey", err)
	}
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }

// same pushes data as a file and as a stream.
func same(t *testing.T, data []byte, o *image.Options) {
	t.Helper()
	path := file(t, data)
	fromFile, errFile := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(path, o) }, o)
	fromStream, errStream := pushFrom(t, func(o *image.Options) (*image.Source, error) {
		return image.Read(bytes.NewReader(data), "standard input", o)
	}, o)
	for _, err := range []error{errFile, errStream} {
		if err != nil {
			known(t, err)
		}
	}
	for _, p := range []*pushed{fromFile, fromStream} {
		if p != nil && strings.ContainsFunc(strings.Join(p.image.Notices, ""), unprintable) {
			t.Errorf("got the notices %q, which a terminal would obey", p.image.Notices)
		}
	}
	if (errFile == nil) != (errStream == nil) {
		t.Errorf("the file: %v; the stream: %v", errFile, errStream)
	}
	if errFile == nil && errStream == nil && !slices.Equal(manifestDigests(fromFile), manifestDigests(fromStream)) {
		t.Errorf("the file is %v, the stream %v", manifestDigests(fromFile), manifestDigests(fromStream))
	}
}
