package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	// untyped names a manifest without saying of what type it is.
	untyped := func(v any) []byte {
		d := document(v)
		d.MediaType = ""
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
		"xz":               {[]byte("\xfd7zXZ\x00 and so on"), image.ErrNotImage, "is no valid xz"},
		"bzip2":            {[]byte("BZh9 and so on"), image.ErrNotImage, "is no valid bzip2"},
		"gzip of text":     {gzipped(tb, []byte("text")), image.ErrNotImage, "is compressed with gzip, and its content is neither a tar"},
		"gzip of gzip":     {gzipped(tb, gzipped(tb, packed)), image.ErrNotImage, "is compressed with gzip, and its content is"},
		"gzip of nothing":  {gzipped(tb, nil), image.ErrNotImage, "is compressed with gzip, and its content is empty"},
		"half a header":    {[]byte{0x1f, 0x8b, 8}, image.ErrNotImage, ""},
		"plain tar":        {pack(tb, entry{name: "etc/passwd", data: []byte("root")}, entry{name: "a/b/c.tar", data: a}), image.ErrNotImage, "has neither the oci-layout and index.json of an OCI layout nor the manifest.json of a docker archive"},
		"empty tar":        {pack(tb), image.ErrNotImage, "has neither"},
		"only zeros":       {make([]byte, 100<<10), image.ErrNotImage, "has neither"},
		"root file system": {pack(tb, entry{name: "dev/null", typeflag: tar.TypeChar}), image.ErrNotImage, "dev/null: is a device, which no image archive has"},
		"pipe":             {pack(tb, entry{name: "pipe", typeflag: tar.TypeFifo}), image.ErrNotImage, "pipe: is a pipe"},
		"no index":         {pack(tb, replace(good, "index.json", nil)...), image.ErrNotImage, "has an oci-layout, but no index.json"},
		"damaged tar":      {append(pack(tb, good[:2]...)[:padded(good[:2])], bytes.Repeat([]byte("garbage "), 200)...), image.ErrNotImage, "a tar header is not valid"},

		// Cut off.
		"cut in a file":     {packed[:700], image.ErrTruncated, ""},
		"cut in a header":   {packed[:padded(good[:2])+100], image.ErrTruncated, "the archive ends in the middle of a file"},
		"cut between files": {packed[:padded(good[:3])], image.ErrTruncated, "the archive ends without its end marker: has neither"},
		"10 GB header":      {hugeHeader(tb), image.ErrTruncated, ""},

		// Names and links.
		"parent path":     {pack(tb, append(good, entry{name: "../evil", data: a})...), image.ErrUnsafe, "../evil: the path leads outside"},
		"inner parent":    {pack(tb, append(good, entry{name: "blobs/../../evil", data: a})...), image.ErrUnsafe, "the path leads outside"},
		"twice":           {pack(tb, append(good, entry{name: "index.json", data: index(desc, desc)})...), image.ErrUnsafe, "index.json: is in the archive twice"},
		"twice, spelled":  {pack(tb, append(good, entry{name: "./blobs//sha256/../sha256/x", data: a})...), image.ErrUnsafe, "the path leads outside"},
		"layer twice":     {pack(tb, append(slices.Clone(old), entry{name: oldLayer, data: b})...), image.ErrUnsafe, oldLayer + ": is in the archive twice"},
		"blob twice":      {pack(tb, append(slices.Clone(good), entry{name: layers[0], data: changed(good[0].data)})...), image.ErrUnsafe, layers[0] + ": is in the archive twice"},
		"twice, dot":      {pack(tb, append(good, entry{name: "./index.json", data: changed(index(desc))})...), image.ErrUnsafe, "index.json: is in the archive twice"},
		"sparse":          {sparse(tb), image.ErrInvalid, "is stored as a sparse file"},
		"link outside":    {pack(tb, replace(old, oldLayer, nil)[0], entry{name: oldLayer, link: "../../etc/passwd"}, old[len(old)-3], old[len(old)-2]), image.ErrUnsafe, `links to "../etc/passwd": the path leads outside`},
		"absolute link":   {pack(tb, entry{name: oldLayer, link: "/etc/passwd"}, old[len(old)-3], old[len(old)-2]), image.ErrUnsafe, `links to "/etc/passwd": the path is absolute`},
		"link to itself":  {pack(tb, entry{name: oldLayer, link: "layer.tar"}, old[len(old)-3], old[len(old)-2]), image.ErrUnsafe, "which is a link itself"},
		"link loop":       {pack(tb, entry{name: oldLayer, link: "../x"}, entry{name: "x", link: oldLayer}, old[len(old)-3], old[len(old)-2]), image.ErrUnsafe, "which is a link itself"},
		"link chain":      {pack(tb, entry{name: "manifest.json", link: "a"}, entry{name: "a", link: "b"}, entry{name: "b", data: archive("c.json")}), image.ErrUnsafe, "which is a link itself"},
		"link to nothing": {pack(tb, entry{name: "manifest.json", link: "a"}), image.ErrMissing, `links to "a", which is not in the archive`},
		"hard link loop":  {pack(tb, entry{name: "manifest.json", link: "manifest.json", typeflag: tar.TypeLink}), image.ErrUnsafe, "which is a link itself"},
		"file and link":   {pack(tb, entry{name: "manifest.json", data: archive("a")}, entry{name: "manifest.json", link: "a"}), image.ErrUnsafe, "is in the archive twice"},
		"8 EiB header":    {header(tb, "x", math.MaxInt64), image.ErrLimit, "9223372036854775807 bytes long, as no layer is"},
		"negative size":   {negative(tb), image.ErrNotImage, "a tar header is not valid"},
		"old sparse":      {retyped(tb, tar.TypeGNUSparse), image.ErrInvalid, "is stored as a sparse file"},
		"unknown type":    {retyped(tb, 'Z'), image.ErrNotImage, "x: is of the type 'Z'"},
		"hard link out":   {pack(tb, entry{name: "manifest.json", link: "../a", typeflag: tar.TypeLink}), image.ErrUnsafe, "the path leads outside"},

		// Docker archives.
		"archive: no JSON":       {pack(tb, replace(old, "manifest.json", []byte(`[{"Config":`))...), image.ErrInvalid, "manifest.json: is no valid JSON"},
		"archive: no images":     {pack(tb, replace(old, "manifest.json", []byte(`[]`))...), image.ErrNotImage, "manifest.json: names no image"},
		"archive: no config":     {pack(tb, replace(old, oldConfig, nil)...), image.ErrMissing, oldConfig + ": the source lacks this config"},
		"archive: no layer":      {pack(tb, replace(old, oldLayer, nil)...), image.ErrMissing, oldLayer + ": the source lacks this layer"},
		"archive: other layer":   {pack(tb, replace(old, oldLayer, layerTar(tb, "c"))...), image.ErrDigest, oldLayer + ": "},
		"archive: text layer":    {pack(tb, replace(old, oldLayer, []byte("text"))...), image.ErrInvalid, "is neither a tar nor compressed with gzip or zstd, so it is no layer"},
		"archive: config path":   {pack(tb, replace(old, "manifest.json", archive("../../etc/passwd"))...), image.ErrUnsafe, `names the config "../../etc/passwd": the path leads outside`},
		"archive: empty path":    {pack(tb, replace(old, "manifest.json", archive(""))...), image.ErrUnsafe, `names the config "": the path is not valid`},
		"archive: layer path":    {pack(tb, replace(old, "manifest.json", archive(oldConfig, "../etc/passwd", "x"))...), image.ErrUnsafe, `names the layer "../etc/passwd": the path leads outside`},
		"archive: absolute path": {pack(tb, replace(old, "manifest.json", archive(oldConfig, "/etc/passwd", "x"))...), image.ErrMissing, "etc/passwd: the source lacks this layer"},
		"archive: layers":        {pack(tb, replace(old, "manifest.json", archive(oldConfig, oldLayer))...), image.ErrInvalid, "names 1 layers, but the config"},
		"archive: bad config":    {pack(tb, replace(old, oldConfig, []byte(`{"rootfs":{"type":"layers","diff_ids":["sha256:../../etc"]}}`))...), image.ErrDigest, ""},
		"archive: config digest": {pack(tb, append(replace(old, "manifest.json", archive(blobPath(digest.FromString("x")), oldLayer, old[5].name)), entry{name: blobPath(digest.FromString("x")), data: old[len(old)-3].data})...), image.ErrDigest, "its digest is"},
		"archive: no rootfs":     {pack(tb, replace(old, oldConfig, []byte(`{}`))...), image.ErrInvalid, "names 2 layers, but the config"},
		"archive: other rootfs":  {pack(tb, replace(old, oldConfig, []byte(`{"rootfs":{"type":"windows"}}`))...), image.ErrInvalid, `is not the config of an image: its rootfs is of type "windows", not "layers"`},
		"archive: config by ID":  {pack(tb, replace(old, oldConfig, append(old[len(old)-3].data, ' '))...), image.ErrDigest, oldConfig + ": its digest is"},
		"archive: config text":   {pack(tb, replace(old, oldConfig, []byte(`{"rootfs"`))...), image.ErrInvalid, "is no valid JSON for the config of an image"},

		"archive: other config": {pack(tb, replace(classic(tb, a).entries(), "manifest.json", archive(oldConfig, oldLayer))...), image.ErrInvalid, "manifest.json: does not name the config sha256:"},
		"raw: other layer":      {pack(tb, replace(classic(tb, a).entries(), digest.FromBytes(a).Encoded(), b)...), image.ErrDigest, "its digest is"},

		// Layouts.
		"layout version":      {pack(tb, replace(good, "oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`))...), image.ErrNotImage, `oci-layout: has layout version "2.0.0"; only 1.0.0 is supported`},
		"layout marker":       {pack(tb, replace(good, "oci-layout", []byte(`{`))...), image.ErrInvalid, "oci-layout: is no valid JSON"},
		"index: no JSON":      {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,`))...), image.ErrInvalid, "index.json: is no valid JSON for a manifest"},
		"index: JSON twice":   {pack(tb, replace(good, "index.json", append(index(desc), index(desc)...))...), image.ErrInvalid, "index.json: is no valid JSON for a manifest"},
		"index: schema 1":     {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":1,"manifests":[]}`))...), image.ErrInvalid, "index.json: has schema version 1; only 2 is supported"},
		"index: no schema":    {pack(tb, replace(good, "index.json", []byte(`{}`))...), image.ErrInvalid, "index.json: has schema version 0"},
		"index: no images":    {pack(tb, replace(good, "index.json", index())...), image.ErrNotImage, "index.json: names no image"},
		"index: a manifest":   {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,"config":{}}`))...), image.ErrDigest, ""},
		"index: no digest":    {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Digest = "sha256:../../../../etc/passwd" })))...), image.ErrDigest, `index.json: names "sha256:../../../../etc/passwd", which is no digest that can be checked`},
		"index: odd digest":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Digest = "md5:d41d8cd98f00b204e9800998ecf8427e" })))...), image.ErrDigest, "which is no digest that can be checked"},
		"index: size":         {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Size++ })))...), image.ErrDigest, "bytes long, but index.json says"},
		"index: size below 0": {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.Size = -1 })))...), image.ErrDigest, "a size of -1 bytes"},
		"index: media type":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.MediaType = "text/plain" })))...), image.ErrNotImage, `index.json: names a "text/plain", which is no image`},
		"index: other type":   {pack(tb, replace(good, "index.json", index(with(func(d *ocispec.Descriptor) { d.MediaType = dockerManifest })))...), image.ErrInvalid, "says it is"},
		"two images":          {two.tar(), image.ErrAmbiguous, "index.json: there are several images; choose one with --image: docker.io/library/app:1, docker.io/library/app:2"},
		"no manifest":         {pack(tb, replace(good, manifest, nil)...), image.ErrMissing, manifest + ": the source lacks this manifest"},
		"other manifest":      {pack(tb, replace(good, manifest, changed(good[3].data))...), image.ErrDigest, manifest + ": its digest is"},
		"other config":        {pack(tb, replace(good, config, changed(good[2].data))...), image.ErrDigest, config + ": its digest is"},
		"other layer":         {pack(tb, replace(good, layers[0], changed(good[0].data))...), image.ErrDigest, layers[0] + ": its digest is"},
		"short layer":         {pack(tb, replace(good, layers[0], good[0].data[:20])...), image.ErrDigest, ""},
		"both":                {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{}, "manifests": []any{}}), image.ErrInvalid, "is both a manifest and an index"},
		"neither":             {withManifest(map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "manifests": []any{}}), image.ErrInvalid, "is not the"},
		"layer digest":        {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{map[string]any{"digest": "sha256:/../x"}}}), image.ErrDigest, "which is no digest that can be checked"},
		"manifest no object":  {withManifest([]any{1}), image.ErrInvalid, "is no valid JSON for a manifest"},
		"deep JSON":           {pack(tb, replace(good, "index.json", bytes.Repeat([]byte("["), 100_000))...), image.ErrLimit, "index.json: is nested deeper than 100"},
		"huge index":          {pack(tb, replace(good, "index.json", append(index(desc), bytes.Repeat([]byte(" "), 5<<20)...))...), image.ErrLimit, "bytes are too many for metadata"},
		"deep indexes":        {deepIndexes(tb), image.ErrLimit, "indexes are nested deeper than 8"},
		"many values":         {pack(tb, replace(good, "index.json", listOf("{}", 200_000))...), image.ErrLimit, "index.json: more than 262144 values are too many for metadata"},
		"many layers":         {withManifest(map[string]any{"schemaVersion": 2, "layers": slices.Repeat([]any{desc}, 100_000)}), image.ErrLimit, "bytes are too many for metadata"},
		"layer size":          {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{with(func(d *ocispec.Descriptor) { d.Size-- })}}), image.ErrDigest, "bytes long, but blobs/sha256/"},
		"layer size below 0":  {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{with(func(d *ocispec.Descriptor) { d.Size = -1 })}}), image.ErrDigest, "a size of -1 bytes"},

		// What readers take for different things.
		"key twice":          {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,"manifests":[],"manifests":[]}`))...), image.ErrUnsafe, `index.json: has the key "manifests" twice`},
		"key in two spells":  {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,"manifests":[],"MANIFEST\u017f":[]}`))...), image.ErrUnsafe, `index.json: has the key "manifests" twice`},
		"inner key twice":    {pack(tb, replace(good, "index.json", []byte(`{"schemaVersion":2,"manifests":[{"annotations":{"a":"1","a":"2"}}]}`))...), image.ErrUnsafe, `index.json: has the key "a" twice`},
		"archive: key twice": {pack(tb, replace(old, "manifest.json", []byte(`[{"Config":"a","config":"b"}]`))...), image.ErrUnsafe, `manifest.json: has the key "config" twice`},
		"config: key twice":  {pack(tb, replace(old, oldConfig, []byte(`{"rootfs":{"diff_ids":[]},"rootfs":{}}`))...), image.ErrUnsafe, `has the key "rootfs" twice`},

		// What would reach a header or a terminal.
		"type with a line end":  {withManifest(map[string]any{"schemaVersion": 2, "layers": []any{map[string]any{"digest": desc.Digest, "mediaType": "a/b\r\nX-Evil: 1"}}}), image.ErrInvalid, `the type "a/b\r\nX-Evil: 1", which is no media type`},
		"root type with escape": {untyped(map[string]any{"schemaVersion": 2, "mediaType": "\x1b]0;evil\a", "layers": []any{}}), image.ErrInvalid, `is of the type "\x1b]0;evil\a", which is no media type`},
		"platform with escapes": {misfit(tb), image.ErrAmbiguous, `choose a platform (--platform) among: "\x1b]0;evil\a/\u202e"`},
		"tag with escapes":      {pack(tb, replace(old, "manifest.json", []byte(`[{"Config":"a","RepoTags":["\u001b[2J"]},{"Config":"b","RepoTags":["\u202eb"]}]`))...), image.ErrAmbiguous, `choose one with --image: "\x1b[2J", "\u202eb"`},
		"escape sequences":      {pack(tb, append(good, entry{name: "../\x1b]0;evil\a", data: a})...), image.ErrUnsafe, `"../\x1b]0;evil\a": the path leads outside`},
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

// negative has a file of -1 bytes, in GNU's form of numbers.
func negative(tb testing.TB) []byte {
	tb.Helper()
	data := header(tb, "x", 0)
	copy(data[124:136], bytes.Repeat([]byte{0xff}, 12))
	return append(header(tb, "a", 0), sum(data)...)
}

// retyped has a file of that type.
func retyped(tb testing.TB, typeflag byte) []byte {
	tb.Helper()
	data := header(tb, "x", 0)
	data[156] = typeflag
	if typeflag == tar.TypeGNUSparse {
		copy(data[257:265], "ustar  \x00")
	}
	return sum(data)
}

// sum corrects the checksum of a header.
func sum(header []byte) []byte {
	copy(header[148:156], "        ")
	total := 0
	for _, b := range header {
		total += int(b)
	}
	copy(header[148:156], fmt.Sprintf("%06o\x00 ", total))
	return header
}

// listOf is an index of n entries.
func listOf(element string, n int) []byte {
	return []byte(`{"schemaVersion":2,"manifests":[` + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + `]}`)
}

// misfit is an index with one image that is whole, one with a part, and
// one without anything. The name of their platform would steer a terminal.
func misfit(tb testing.TB) []byte {
	tb.Helper()
	evil := ocispec.Platform{OS: "\x1b]0;evil\a", Architecture: "\u202e"}
	l := newLayout(tb)
	one, two, gone := l.image(evil, "a"), l.image(evil, "b"), l.image(evil, "c")
	delete(l.files, blobPath(gone.Digest))
	return l.finish(l.nested(one, two, gone)).tar()
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
				case !errors.Is(err, test.kind):
					t.Errorf("%s: got %v, want %v", way, err, test.kind)
				case strings.ContainsFunc(err.Error(), unprintable):
					t.Errorf("%s: got %q, which a terminal would obey", way, err)
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
		"empty": {func(_ testing.TB, dir, _ string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) }, image.ErrNotImage, "has neither"},
		"pipe": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), mkfifo(filepath.Join(dir, layer)))
		}, image.ErrInvalid, "is a pipe, not a regular file"},
		"device": {func(tb testing.TB, dir, layer string) error {
			tb.Helper()
			if err := os.Remove(filepath.Join(dir, layer)); err != nil {
				return err
			}
			if err := mkdevice(filepath.Join(dir, layer)); err != nil {
				tb.Skip("device files need privileges")
			}
			return nil
		}, image.ErrInvalid, "is a device, not a regular file"},
		"directory": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Mkdir(filepath.Join(dir, layer), 0o755))
		}, image.ErrInvalid, "is a directory, not a regular file"},
		"link outside": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink("/etc/passwd", filepath.Join(dir, layer)))
		}, image.ErrDigest, "bytes long, but blobs/sha256/"},
		"link loop": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink(filepath.Base(layer), filepath.Join(dir, layer)))
		}, image.ErrUnsafe, "cannot be used"},
		"parent link": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink(strings.Repeat("../", 40)+"etc/passwd", filepath.Join(dir, layer)))
		}, image.ErrDigest, "bytes long, but blobs/sha256/"},
		"linked index": {func(tb testing.TB, dir, _ string) error {
			tb.Helper()
			elsewhere := filepath.Join(tb.TempDir(), "index.json")
			return errors.Join(os.Rename(filepath.Join(dir, "index.json"), elsewhere), os.Symlink(elsewhere, filepath.Join(dir, "index.json")))
		}, image.ErrUnsafe, "index.json: cannot be used"},
		"link chain outside": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Symlink(strings.Repeat("../", 40), filepath.Join(dir, "up")), os.Remove(filepath.Join(dir, layer)), os.Symlink("../../up/etc/passwd", filepath.Join(dir, layer)))
		}, image.ErrDigest, "bytes long, but blobs/sha256/"},
		"link to a device outside": {func(_ testing.TB, dir, layer string) error {
			return errors.Join(os.Remove(filepath.Join(dir, layer)), os.Symlink("/dev/zero", filepath.Join(dir, layer)))
		}, image.ErrInvalid, "is a device, not a regular file"},
		"layer shorter": {func(_ testing.TB, dir, layer string) error { return os.Truncate(filepath.Join(dir, layer), 30) }, image.ErrDigest, "30 bytes long, but blobs/sha256/"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, layer := whole(t)
			if err := test.change(t, dir, layer); err != nil {
				t.Fatal(err)
			}
			_, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }, nil)
			if err == nil || !strings.Contains(err.Error(), test.text) || !errors.Is(err, test.kind) {
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
