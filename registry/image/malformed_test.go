package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// replace gives entries with the data of one changed, or without it.
func replace(entries []entry, name string, data []byte) []entry {
	entries = slices.Clone(entries)
	for i := range entries {
		if strings.HasSuffix(entries[i].name, name) {
			if data == nil {
				return slices.Delete(entries, i, i+1)
			}
			entries[i].data = data
			return entries
		}
	}
	return append(entries, entry{name: name, data: data})
}

// malformed are archives that have to be refused, whichever way they are read.
func malformed(tb testing.TB) map[string]malformedCase {
	tb.Helper()
	a, b := layerTar(tb, "a"), layerTar(tb, "b")
	old := legacy(tb, a, b)
	oldConfig, oldLayer := old[len(old)-3].name, old[2].name
	l := newLayout(tb)
	desc := l.image(amd64, "a", "b")
	good := l.finish(desc).entries()
	layers := []string{good[0].name, good[1].name}
	config, manifest := good[2].name, good[3].name
	index := func(descs ...ocispec.Descriptor) []byte { return indexJSON(tb, descs...) }
	with := func(change func(*ocispec.Descriptor)) ocispec.Descriptor {
		d := desc
		change(&d)
		return d
	}
	archive := func(config string, layers ...string) []byte {
		return mustJSON(tb, []map[string]any{{"Config": config, "Layers": layers}})
	}
	document := func(v any) ocispec.Descriptor {
		data := mustJSON(tb, v)
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(data), Size: int64(len(data))}
	}
	withManifest := func(v any) []byte {
		d := document(v)
		return pack(tb, append(replace(good, "index.json", index(d)), entry{name: blobPath(d.Digest), data: mustJSON(tb, v)})...)
	}
	packed := pack(tb, good...)
	two := newLayout(tb)
	first, second := two.image(amd64, "a"), two.image(amd64, "b")
	first.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/app:1"}
	second.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/app:2"}
	two.finish(first, second)

	return map[string]malformedCase{
		// What is no image at all.
		"empty":            {nil, image.ErrNotImage, "is empty"},
		"text":             {[]byte("FROM scratch\n"), image.ErrNotImage, "is neither a tar nor a directory with an image in it"},
		"long text":        {bytes.Repeat([]byte("FROM scratch\n"), 100), image.ErrNotImage, "is neither a tar nor"},
		"JSON":             {[]byte(`{"schemaVersion":2}`), image.ErrNotImage, "is a JSON file, not an image"},
		"zip":              {[]byte("PK\x03\x04 and so on"), image.ErrNotImage, "is a zip archive"},
		"xz":               {[]byte("\xfd7zXZ\x00 and so on"), image.ErrNotImage, "is compressed with xz; decompress it first"},
		"gzip of text":     {gzipped(tb, []byte("text")), image.ErrNotImage, "is compressed with gzip, and its content is neither a tar"},
		"gzip of gzip":     {gzipped(tb, gzipped(tb, packed)), image.ErrNotImage, "is compressed with gzip, and its content is"},
		"gzip of nothing":  {gzipped(tb, nil), image.ErrNotImage, "is compressed with gzip, and its content is empty"},
		"half a header":    {[]byte{0x1f, 0x8b, 8}, nil, ""},
		"plain tar":        {pack(tb, entry{name: "etc/passwd", data: []byte("root")}, entry{name: "a/b/c.tar", data: a}), image.ErrNotImage, "has neither the oci-layout and index.json of an OCI layout nor the manifest.json of a docker archive"},
		"empty tar":        {pack(tb), image.ErrNotImage, "has neither"},
		"only zeros":       {make([]byte, 100<<10), image.ErrNotImage, "has neither"},
		"root file system": {pack(tb, entry{name: "dev/null", typeflag: tar.TypeChar}), image.ErrNotImage, "dev/null: is a device, which no image archive has"},
		"pipe":             {pack(tb, entry{name: "pipe", typeflag: tar.TypeFifo}), image.ErrNotImage, "pipe: is a pipe"},
		"no oci-layout":    {pack(tb, replace(good, "oci-layout", nil)...), image.ErrNotImage, "has an index.json, but no oci-layout"},
		"no index":         {pack(tb, replace(good, "index.json", nil)...), image.ErrNotImage, "has an oci-layout, but no index.json"},
		"damaged tar":      {append(pack(tb, good[:2]...)[:padded(good[:2])], bytes.Repeat([]byte("garbage "), 200)...), image.ErrNotImage, "a tar header is not valid"},

		// Cut off.
		"cut in a file":         {packed[:700], image.ErrTruncated, ""},
		"cut in a header":       {packed[:padded(good[:2])+100], image.ErrTruncated, "the archive ends in the middle of a file"},
		"cut between files":     {packed[:padded(good[:3])], image.ErrTruncated, "the archive ends without its end marker: has neither"},
		"cut before its config": {pack(tb, good[3:]...)[:padded(good[3:])], image.ErrTruncated, "the source lacks this config"},
		"10 GB header":          {hugeHeader(tb), image.ErrTruncated, ""},

		// Names and links.
		"parent path":     {pack(tb, append(good, entry{name: "../evil", data: a})...), nil, "../evil: the path leads outside"},
		"inner parent":    {pack(tb, append(good, entry{name: "blobs/../../evil", data: a})...), nil, "the path leads outside"},
		"absolute path":   {pack(tb, append(good, entry{name: "/etc/evil", data: a})...), nil, "/etc/evil: the path is absolute"},
		"twice":           {pack(tb, append(good, entry{name: "index.json", data: index(desc)})...), nil, "index.json: is in the archive twice"},
		"twice, spelled":  {pack(tb, append(good, entry{name: "./blobs//sha256/../sha256/x", data: a})...), nil, "the path leads outside"},
		"twice, dot":      {pack(tb, append(good, entry{name: "./index.json", data: index(desc)})...), nil, "index.json: is in the archive twice"},
		"sparse":          {sparse(tb), nil, "is stored as a sparse file"},
		"link outside":    {pack(tb, replace(old, oldLayer, nil)[0], entry{name: oldLayer, link: "../../etc/passwd"}, old[len(old)-3], old[len(old)-2]), nil, `links to "../etc/passwd": the path leads outside`},
		"absolute link":   {pack(tb, entry{name: oldLayer, link: "/etc/passwd"}, old[len(old)-3], old[len(old)-2]), nil, `links to "/etc/passwd": the path is absolute`},
		"link to itself":  {pack(tb, entry{name: oldLayer, link: "layer.tar"}, old[len(old)-3], old[len(old)-2]), nil, "which is a link itself"},
		"link loop":       {pack(tb, entry{name: oldLayer, link: "../x"}, entry{name: "x", link: oldLayer}, old[len(old)-3], old[len(old)-2]), nil, "which is a link itself"},
		"link chain":      {pack(tb, entry{name: "manifest.json", link: "a"}, entry{name: "a", link: "b"}, entry{name: "b", data: archive("c.json")}), nil, "which is a link itself"},
		"link to nothing": {pack(tb, entry{name: "manifest.json", link: "a"}), image.ErrMissing, `links to "a", which is not in the archive`},
		"hard link out":   {pack(tb, entry{name: "manifest.json", link: "../a", typeflag: tar.TypeLink}), nil, "the path leads outside"},

		// Docker archives.
		"archive: no JSON":       {pack(tb, replace(old, "manifest.json", []byte(`[{"Config":`))...), nil, "manifest.json: is no valid JSON"},
		"archive: no images":     {pack(tb, replace(old, "manifest.json", []byte(`[]`))...), image.ErrNotImage, "manifest.json: names no image"},
		"archive: no config":     {pack(tb, replace(old, oldConfig, nil)...), image.ErrMissing, oldConfig + ": the source lacks this config"},
		"archive: no layer":      {pack(tb, replace(old, oldLayer, nil)...), image.ErrMissing, oldLayer + ": the source lacks this layer"},
		"archive: other layer":   {pack(tb, replace(old, oldLayer, layerTar(tb, "c"))...), image.ErrDigest, oldLayer + ": "},
		"archive: text layer":    {pack(tb, replace(old, oldLayer, []byte("text"))...), nil, "is neither a tar nor compressed with gzip or zstd, so it is no layer"},
		"archive: config path":   {pack(tb, replace(old, "manifest.json", archive("../../etc/passwd"))...), nil, `names the config "../../etc/passwd": the path leads outside`},
		"archive: empty path":    {pack(tb, replace(old, "manifest.json", archive(""))...), nil, `names the config "": the path is not valid`},
		"archive: layer path":    {pack(tb, replace(old, "manifest.json", archive(oldConfig, "/etc/passwd", "x"))...), nil, `names the layer "/etc/passwd": the path is absolute`},
		"archive: layers":        {pack(tb, replace(old, "manifest.json", archive(oldConfig, oldLayer))...), nil, "names 1 layers, but the config"},
		"archive: bad config":    {pack(tb, replace(old, oldConfig, []byte(`{"rootfs":{"type":"layers","diff_ids":["sha256:../../etc"]}}`))...), nil, ""},
		"archive: config digest": {pack(tb, append(replace(old, "manifest.json", archive(blobPath(digest.FromString("x")), oldLayer, old[5].name)), entry{name: blobPath(digest.FromString("x")), data: old[len(old)-3].data})...), image.ErrDigest, "its digest is"},
		"archive: no rootfs":     {pack(tb, replace(old, oldConfig, []byte(`{}`))...), nil, `is not the config of an image: its rootfs is of type "", not "layers"`},
		"archive: config text":   {pack(tb, replace(old, oldConfig, []byte(`{"rootfs"`))...), nil, "is no valid JSON for the config of an image"},

		"archive: other config": {pack(tb, replace(classic(tb, a).entries(), "manifest.json", archive(oldConfig, oldLayer))...), nil, "manifest.json: does not name the config sha256:"},
		"raw: other layer":      {pack(tb, replace(classic(tb, a).entries(), digest.FromBytes(a).Encoded(), b)...), image.ErrDigest, "its digest is"},

		// Layouts.
		"layout version":      {pack(tb, replace(good, "oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`))...), image.ErrNotImage, `oci-layout: has layout version "2.0.0"; only 1.0.0 is supported`},
		"layout marker":       {pack(tb, replace(good, "oci-layout", []byte(`{`))...), image.ErrNotImage, "oci-layout: is no valid JSON"},
		"index: no JSON":      {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,`))...), nil, "index.json: is no valid JSON for a manifest"},
		"index: JSON twice":   {pack(tb, replace(good, "index.json", append(index(desc), index(desc)...))...), nil, "index.json: is no valid JSON for a manifest"},
		"index: schema 1":     {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":1,"manifests":[]}`))...), nil, "index.json: has schema version 1; only 2 is supported"},
		"index: no schema":    {pack(tb, replace(good, "index.json", []byte(`{}`))...), nil, "index.json: has schema version 0"},
		"index: no images":    {pack(tb, replace(good, "index.json", index())...), image.ErrNotImage, "index.json: names no image"},
		"index: a manifest":   {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,"config":{}}`))...), nil, ""},
		"index: no digest":    {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Digest = "sha256:../../../../etc/passwd" })))...), image.ErrDigest, `index.json: names "sha256:../../../../etc/passwd", which is no digest that can be checked`},
		"index: odd digest":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Digest = "md5:d41d8cd98f00b204e9800998ecf8427e" })))...), image.ErrDigest, "which is no digest that can be checked"},
		"index: size":         {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Size++ })))...), image.ErrDigest, "bytes long, but index.json says"},
		"index: size below 0": {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Size = -1 })))...), image.ErrDigest, "a size of -1 bytes"},
		"index: media type":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.MediaType = "text/plain" })))...), image.ErrNotImage, `index.json: names a "text/plain", which is no image`},
		"index: other type":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.MediaType = dockerManifest })))...), nil, "says it is"},
		"two images":          {two.tar(), image.ErrAmbiguous, "index.json: there are several images, one has to be named: docker.io/library/app:1, docker.io/library/app:2"},
		"no manifest":         {pack(tb, replace(good, manifest, nil)...), image.ErrMissing, manifest + ": the source lacks this manifest"},
		"no config":           {pack(tb, replace(good, config, nil)...), image.ErrMissing, config + ": the source lacks this config"},
		"other manifest":      {pack(tb, replace(good, manifest, changed(good[3].data))...), image.ErrDigest, manifest + ": its digest is"},
		"other config":        {pack(tb, replace(good, config, changed(good[2].data))...), image.ErrDigest, config + ": its digest is"},
		"other layer":         {pack(tb, replace(good, layers[0], changed(good[0].data))...), image.ErrDigest, layers[0] + ": its digest is"},
		"short layer":         {pack(tb, replace(good, layers[0], good[0].data[:20])...), image.ErrDigest, ""},
		"both":                {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{}, "manifests": []any{}}), nil, "is both a manifest and an index"},
		"neither":             {withManifest(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "manifests": []any{}}), nil, "is not the"},
		"layer digest":        {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{map[string]any{"digest": "sha256:/../x"}}}), image.ErrDigest, "which is no digest that can be checked"},
		"manifest no object":  {withManifest([]any{1}), nil, "is no valid JSON for a manifest"},
		"deep JSON":           {pack(tb, replace(good, "index.json", bytes.Repeat([]byte("["), 100_000))...), nil, "is no valid JSON for a manifest"},
		"huge index":          {pack(tb, replace(good, "index.json", append(index(desc), bytes.Repeat([]byte(" "), 5<<20)...))...), nil, "bytes are too many for metadata"},
		"deep indexes":        {deepIndexes(tb), nil, "indexes are nested deeper than 8"},
		"escape sequences":    {pack(tb, append(good, entry{name: "../\x1b]0;evil\a", data: a})...), nil, `"../\x1b]0;evil\a": the path leads outside`},
	}
}

type malformedCase struct {
	data []byte
	kind error
	text string
}

// padded is how many bytes entries take in a tar.
func padded(entries []entry) int {
	n := 0
	for _, e := range entries {
		n += 512 + (len(e.data)+511)&^511
	}
	return n
}

// changed gives bytes of the same length and beginning.
func changed(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(data)-2] ^= 1
	return data
}

// hugeHeader claims a file of 10 GB, and has 1 KiB of it.
func hugeHeader(tb testing.TB) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: "blobs/sha256/" + strings.Repeat("a", 64), Size: 10 << 30, Mode: 0o644}); err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1024)); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// sparse has a file in GNU's sparse format 1.0.
func sparse(tb testing.TB) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	body := append([]byte("1\n0\n0\n"), make([]byte, 506)...)
	err := w.WriteHeader(&tar.Header{
		Name: "GNUSparseFile.0/layer.tar", Size: int64(len(body)), Mode: 0o644, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"GNUxsparse.major": "1", "GNUxsparse.minor": "0", "GNUxsparse.name": "layer.tar", "GNUxsparse.realsize": "1073741824"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(body); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	// The writer of package tar refuses to write these keys.
	return bytes.ReplaceAll(buf.Bytes(), []byte("GNUxsparse"), []byte("GNU.sparse"))
}

// deepIndexes nests indexes in each other.
func deepIndexes(tb testing.TB) []byte {
	tb.Helper()
	l := newLayout(tb)
	desc := l.image(amd64, "a")
	for range 20 {
		desc = l.nested(desc)
	}
	return l.finish(desc).tar()
}

func TestMalformed(t *testing.T) {
	for name, test := range malformed(t) {
		t.Run(name, func(t *testing.T) {
			for way, open := range ways(t, test.data) {
				p, err := pushFrom(t, open, nil)
				var fault *image.Error
				switch {
				case err == nil:
					t.Errorf("%s: got %s, want an error", way, p.image.Root.Data)
				case !errors.As(err, &fault):
					t.Errorf("%s: got %v, want an *image.Error", way, err)
				case test.kind != nil && !errors.Is(err, test.kind):
					t.Errorf("%s: got %v, want %v", way, err, test.kind)
				case !strings.Contains(err.Error(), test.text) && (way == "file" || way == "stream"):
					t.Errorf("%s: got %q, want it to say %q", way, err, test.text)
				case fault.Source == "" || !strings.HasPrefix(err.Error(), fault.Source+": "):
					t.Errorf("%s: got %q, want it to name the source", way, err)
				}
			}
		})
	}
}

func TestMalformedDirectory(t *testing.T) {
	whole := func(t *testing.T) (string, string) {
		t.Helper()
		l := newLayout(t)
		l.finish(l.image(amd64, "a"))
		return l.dir(), filepath.FromSlash(l.order[0])
	}
	for name, test := range map[string]struct {
		change func(tb testing.TB, dir, layer string) error
		kind   error
		text   string
	}{
		"no oci-layout": {func(_ testing.TB, dir, _ string) error { return os.Remove(filepath.Join(dir, "oci-layout")) }, image.ErrNotImage, "has an index.json, but no oci-layout"},
		"empty":         {func(_ testing.TB, dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) }, image.ErrNotImage, "has neither"},
		"pipe": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), syscall.Mkfifo(filepath.Join(dir, layer), 0o644))
		}, nil, "is a pipe, not a regular file"},
		"device": {func(tb testing.TB, dir, layer string) error {
			tb.Helper()
			if err := os.Remove(filepath.Join(dir, layer)); err != nil {
				return err
			}
			if err := syscall.Mknod(filepath.Join(dir, layer), syscall.S_IFCHR|0o644, 1<<8|5); err != nil {
				tb.Skip("device files need privileges")
			}
			return nil
		}, nil, "is a device, not a regular file"},
		"directory": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Mkdir(filepath.Join(dir, layer), 0o755))
		}, nil, "is a directory, not a regular file"},
		"link outside": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink("/etc/passwd", filepath.Join(dir, layer)))
		}, nil, "cannot be used"},
		"link loop": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink(filepath.Base(layer), filepath.Join(dir, layer)))
		}, nil, "cannot be used"},
		"linked directory": {func(tb testing.TB, dir, _ string) error {
			tb.Helper()
			elsewhere := filepath.Join(tb.TempDir(), "blobs")
			return errors.Join(os.Rename(filepath.Join(dir, "blobs"), elsewhere), os.Symlink(elsewhere, filepath.Join(dir, "blobs")))
		}, nil, "cannot be used"},
		"layer shorter": {func(_ testing.TB, dir, layer string) error { return os.Truncate(filepath.Join(dir, layer), 30) }, image.ErrDigest, "30 bytes long, but blobs/sha256/"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, layer := whole(t)
			if err := test.change(t, dir, layer); err != nil {
				t.Fatal(err)
			}
			_, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }, nil)
			if err == nil || !strings.Contains(err.Error(), test.text) || test.kind != nil && !errors.Is(err, test.kind) {
				t.Errorf("got %v, want %q", err, test.text)
			}
		})
	}
}

// A source that shrinks or changes between being looked at and being read.
func TestChangedWhileRead(t *testing.T) {
	for name, change := range map[string]func(path string, size int64) error{
		"shrunk":  func(path string, size int64) error { return os.Truncate(path, size/2) },
		"changed": func(path string, size int64) error { return os.WriteFile(path, make([]byte, size), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			dir := l.finish(l.image(amd64, "a")).dir()
			s, err := image.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			b, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := change(filepath.Join(dir, filepath.FromSlash(b.Name)), b.Size); err != nil {
				t.Fatal(err)
			}
			r, err := b.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, image.ErrTruncated) && !errors.Is(err, image.ErrDigest) {
				t.Errorf("got %v", err)
			}
			if n == b.Size {
				t.Error("got all bytes of what is damaged: nothing is held back")
			}
			if _, again := r.Read(make([]byte, 1)); again == nil || again.Error() != err.Error() {
				t.Errorf("got %v after %v", again, err)
			}
		})
	}
}

// Bombs: what unpacks to far more than it is must not be held in memory.
func TestBombs(t *testing.T) {
	const size = 96 << 20
	for name, content := range map[string]io.Reader{
		"zeros":         io.LimitReader(zeroes{}, size),
		"one big file":  io.MultiReader(bytes.NewReader(header(t, "version", size)), io.LimitReader(zeroes{}, size)),
		"one big JSON":  io.MultiReader(bytes.NewReader(header(t, "manifest.json", size)), strings.NewReader("{"), io.LimitReader(zeroes{}, size-1)),
		"one big blob":  io.MultiReader(bytes.NewReader(header(t, "blobs/sha256/"+strings.Repeat("a", 64), size)), io.LimitReader(zeroes{}, size)),
		"much metadata": manyDocuments(t, 24),
		"many files":    manyFiles(t, 70_000),
	} {
		t.Run(name, func(t *testing.T) {
			watched := &watcher{r: content}
			packed := &lazyGzip{source: watched}
			s, err := image.Read(packed, "standard input", nil)
			if err != nil {
				t.Fatal(err)
			}
			for err == nil {
				var b *image.Blob
				if b, err = s.Next(t.Context()); err == nil {
					err = read(b)
				}
			}
			if _, ok := errors.AsType[*image.Error](err); !ok {
				t.Errorf("got %v, want an *image.Error", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if watched.peak > 48<<20 {
				t.Errorf("the heap grew by %d MiB", watched.peak>>20)
			}
		})
	}
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
	w, err := zstd.NewWriter(&buf, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, io.LimitReader(zeroes{}, 80<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = image.Open(file(t, buf.Bytes()), nil)
	if err == nil || !strings.Contains(err.Error(), "needs a zstd window of more than 8 MiB") {
		t.Errorf("got %v", err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func header(tb testing.TB, name string, size int64) []byte {
	tb.Helper()
	var buf bytes.Buffer
	if err := tar.NewWriter(&buf).WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644}); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
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

// manyDocuments is a tar with n JSON files of 4 MiB.
func manyDocuments(tb testing.TB, n int) io.Reader {
	tb.Helper()
	var readers []io.Reader
	for i := range n {
		name := "blobs/sha256/" + digest.FromString(string(rune(i))).Encoded()
		readers = append(readers, bytes.NewReader(header(tb, name, 4<<20)), strings.NewReader("{"), io.LimitReader(spaces{}, 4<<20-1))
	}
	return io.MultiReader(readers...)
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// manyFiles is a tar with n empty files.
func manyFiles(tb testing.TB, n int) io.Reader {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for i := range n {
		if err := w.WriteHeader(&tar.Header{Name: "f" + digest.FromString(string(rune(i)))[7:20].String(), Mode: 0o644}); err != nil {
			tb.Fatal(err)
		}
	}
	return &buf
}

func TestOpenFails(t *testing.T) {
	if _, err := image.Open(filepath.Join(t.TempDir(), "nothing"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
	for _, o := range []image.Options{{Platform: "linux"}, {Compression: image.Compression{Level: 50}}} {
		if _, err := image.Open(t.TempDir(), &o); err == nil {
			t.Errorf("%+v: Open gave no error", o)
		}
		if _, err := image.Read(strings.NewReader(""), "standard input", &o); err == nil {
			t.Errorf("%+v: Read gave no error", o)
		}
	}
	s, err := image.Read(strings.NewReader(""), "standard input", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(nil); err == nil || err.Error() != "standard input: was not read" {
		t.Errorf("got %v", err)
	}
}

func TestEndlessSize(t *testing.T) {
	var buf bytes.Buffer
	if err := tar.NewWriter(&buf).WriteHeader(&tar.Header{Name: "x", Size: math.MaxInt64, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	for way, open := range ways(t, buf.Bytes()) {
		if _, err := pushFrom(t, open, nil); !errors.Is(err, image.ErrTruncated) {
			t.Errorf("%s: got %v, want %v", way, err, image.ErrTruncated)
		}
	}
}
