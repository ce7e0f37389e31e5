package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	dockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig    = "application/vnd.docker.container.image.v1+json"
	dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// entry is a file, or with a link a symbolic or hard link, of a tar.
type entry struct {
	name     string
	data     []byte
	link     string
	typeflag byte
	format   tar.Format
}

// pack makes a tar.
func pack(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.data)), Typeflag: e.typeflag, Linkname: e.link, Format: e.format}
		if header.Typeflag == 0 {
			header.Typeflag = tar.TypeReg
			if e.link != "" {
				header.Typeflag = tar.TypeSymlink
			}
		}
		if err := w.WriteHeader(header); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// layerTar makes the raw bytes of a layer, different for each name.
func layerTar(tb testing.TB, name string) []byte {
	tb.Helper()
	return pack(tb, entry{name: name, data: bytes.Repeat([]byte(name+" "), 500)})
}

func gzipped(tb testing.TB, data []byte) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

func zstandard(tb testing.TB, data []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return w.EncodeAll(data, nil)
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// configJSON makes the config of an image with the given raw layers.
func configJSON(tb testing.TB, platform ocispec.Platform, raw ...[]byte) []byte {
	tb.Helper()
	c := ocispec.Image{Platform: platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}}
	for _, layer := range raw {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, digest.FromBytes(layer))
	}
	return mustJSON(tb, c)
}

var (
	amd64 = ocispec.Platform{OS: "linux", Architecture: "amd64"}
	arm64 = ocispec.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	armv6 = ocispec.Platform{OS: "linux", Architecture: "arm", Variant: "v6"}
)

// layout is an OCI layout in the making.
type layout struct {
	tb    testing.TB
	files map[string][]byte
	order []string
}

func newLayout(tb testing.TB) *layout {
	tb.Helper()
	l := &layout{tb: tb, files: map[string][]byte{}}
	return l
}

func (l *layout) put(name string, data []byte) {
	if _, known := l.files[name]; !known {
		l.order = append(l.order, name)
	}
	l.files[name] = data
}

func blobPath(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// blob adds a blob and describes it.
func (l *layout) blob(mediaType string, data []byte) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	l.put(blobPath(desc.Digest), data)
	return desc
}

// image adds an image with gzip layers, one for each name.
func (l *layout) image(platform ocispec.Platform, names ...string) ocispec.Descriptor {
	l.tb.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}}
	m.SchemaVersion = 2
	var raw [][]byte
	for _, name := range names {
		raw = append(raw, layerTar(l.tb, name))
		m.Layers = append(m.Layers, l.blob(ocispec.MediaTypeImageLayerGzip, gzipped(l.tb, raw[len(raw)-1])))
	}
	m.Config = l.blob(ocispec.MediaTypeImageConfig, configJSON(l.tb, platform, raw...))
	desc := l.blob(ocispec.MediaTypeImageManifest, mustJSON(l.tb, m))
	desc.Platform = &platform
	return desc
}

// attestation adds what BuildKit puts beside an image.
func (l *layout) attestation(of ocispec.Descriptor) ocispec.Descriptor {
	l.tb.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":"` + of.Digest.String() + `"}`)
	m.Layers = []ocispec.Descriptor{l.blob("application/vnd.in-toto+json", statement)}
	m.Config = l.blob(ocispec.MediaTypeImageConfig, configJSON(l.tb, ocispec.Platform{OS: "unknown", Architecture: "unknown"}, statement))
	desc := l.blob(ocispec.MediaTypeImageManifest, mustJSON(l.tb, m))
	desc.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	desc.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": of.Digest.String(),
	}
	return desc
}

// nested adds an index.
func (l *layout) nested(manifests ...ocispec.Descriptor) ocispec.Descriptor {
	l.tb.Helper()
	return l.blob(ocispec.MediaTypeImageIndex, indexJSON(l.tb, manifests...))
}

func indexJSON(tb testing.TB, manifests ...ocispec.Descriptor) []byte {
	tb.Helper()
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests}
	index.SchemaVersion = 2
	return mustJSON(tb, index)
}

// finish writes index.json and oci-layout, as last as exporters do.
func (l *layout) finish(manifests ...ocispec.Descriptor) *layout {
	l.tb.Helper()
	l.put("index.json", indexJSON(l.tb, manifests...))
	l.put("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l
}

func (l *layout) entries() []entry {
	var entries []entry
	for _, name := range l.order {
		if data, ok := l.files[name]; ok {
			entries = append(entries, entry{name: name, data: data})
		}
	}
	return entries
}

func (l *layout) tar() []byte { return pack(l.tb, l.entries()...) }

func (l *layout) dir() string {
	l.tb.Helper()
	dir := l.tb.TempDir()
	for name, data := range l.files {
		write(l.tb, filepath.Join(dir, filepath.FromSlash(name)), data)
	}
	return dir
}

func write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// file writes data to a temporary file and gives its path.
func file(tb testing.TB, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "source")
	write(tb, path, data)
	return path
}

// legacy makes the docker archive of Docker up to version 24.
func legacy(tb testing.TB, layers ...[]byte) []entry {
	tb.Helper()
	var entries []entry
	var names []string
	seen := map[digest.Digest]string{}
	for i, layer := range layers {
		dir := digest.FromString(string(rune('a' + i))).Encoded()
		name := dir + "/layer.tar"
		names = append(names, name)
		entries = append(entries, entry{name: dir + "/VERSION", data: []byte("1.0")}, entry{name: dir + "/json", data: []byte(`{"id":"` + dir + `"}`)})
		if first, known := seen[digest.FromBytes(layer)]; known {
			entries = append(entries, entry{name: name, link: "../" + first})
			continue
		}
		seen[digest.FromBytes(layer)] = name
		entries = append(entries, entry{name: name, data: layer})
	}
	config := configJSON(tb, amd64, layers...)
	configName := digest.FromBytes(config).Encoded() + ".json"
	manifest := []map[string]any{{"Config": configName, "RepoTags": []string{"app:1"}, "Layers": names}}
	return append(entries,
		entry{name: configName, data: config},
		entry{name: "manifest.json", data: mustJSON(tb, manifest)},
		entry{name: "repositories", data: []byte(`{}`)},
	)
}

// classic makes the archive of Docker's classic store since version 25: a
// docker archive and a layout of raw layers in one.
func classic(tb testing.TB, layers ...[]byte) *layout {
	tb.Helper()
	l := newLayout(tb)
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	var names []string
	for _, layer := range layers {
		desc := l.blob(ocispec.MediaTypeImageLayer, layer)
		m.Layers = append(m.Layers, desc)
		names = append(names, blobPath(desc.Digest))
	}
	l.blob("", []byte(`{"id":"a v1 config that nothing names"}`))
	m.Config = l.blob(ocispec.MediaTypeImageConfig, configJSON(tb, amd64, layers...))
	desc := l.blob(ocispec.MediaTypeImageManifest, mustJSON(tb, m))
	desc.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/app:1", ocispec.AnnotationRefName: "1"}
	l.put("index.json", indexJSON(tb, desc))
	l.put("manifest.json", mustJSON(tb, []map[string]any{{"Config": blobPath(m.Config.Digest), "RepoTags": []string{"app:1"}, "Layers": names}}))
	l.put("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	l.put("repositories", []byte(`{}`))
	return l
}
