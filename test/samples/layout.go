package samples

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content returns size bytes that do not compress; the same seed gives the same bytes.
func Content(seed byte, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // never fails
	return data
}

// BuildContext writes a folder that builds into an image of two layers,
// which depend on the seed alone, and needs no network.
func BuildContext(tb testing.TB, seed byte, size int) string {
	tb.Helper()
	dir := tb.TempDir()
	WriteFile(tb, filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY a /a\nCOPY b /b\nCMD [\"/a\"]\n"))
	WriteFile(tb, filepath.Join(dir, "a"), Content(seed, size))
	WriteFile(tb, filepath.Join(dir, "b"), []byte{seed})
	return dir
}

// Layout writes an OCI layout of one index, as BuildKit writes it: an image of
// one layer of size bytes, and an attestation for it.
func Layout(tb testing.TB, seed byte, size int) string {
	tb.Helper()
	l := NewLayout(tb)
	image := l.Image(l.Layer(seed, size), "linux", runtime.GOARCH)
	image.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	statement := l.Blob("application/vnd.in-toto+json", []byte(`{"predicateType":"https://slsa.dev/provenance/v0.2"}`))
	attestation := l.Image(statement, "unknown", "unknown")
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": image.Digest.String(),
	}
	index := l.JSON(ocispec.MediaTypeImageIndex, Index(image, attestation))
	top, err := json.Marshal(Index(index))
	if err != nil {
		tb.Fatal(err)
	}
	WriteFile(tb, filepath.Join(l.Dir, "index.json"), top)
	WriteFile(tb, filepath.Join(l.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l.Dir
}

// Index is an index of manifests.
func Index(manifests ...ocispec.Descriptor) ocispec.Index {
	return ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	}
}

// LayoutWriter writes the parts of an OCI layout into Dir. What is missing after
// that, its index.json and oci-layout, the caller writes.
type LayoutWriter struct {
	T   testing.TB
	Dir string
}

// NewLayout returns a writer with an empty directory.
func NewLayout(tb testing.TB) LayoutWriter {
	tb.Helper()
	return LayoutWriter{tb, tb.TempDir()}
}

// Image writes a manifest and a configuration for one layer.
func (l LayoutWriter) Image(layer ocispec.Descriptor, goos, arch string) ocispec.Descriptor {
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: goos, Architecture: arch},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{l.DiffID(layer)}},
	}
	return l.JSON(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    l.JSON(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{layer},
	})
}

// Top names the manifests that the layout is for.
func (l LayoutWriter) Top(manifests ...ocispec.Descriptor) {
	WriteFile(l.T, filepath.Join(l.Dir, "index.json"), Encoded(l.T, Index(manifests...)))
	WriteFile(l.T, filepath.Join(l.Dir, ocispec.ImageLayoutFile), []byte(`{"imageLayoutVersion":"1.0.0"}`))
}

// Layer writes a compressed layer of one file.
func (l LayoutWriter) Layer(seed byte, size int) ocispec.Descriptor {
	var raw, zipped bytes.Buffer
	archive := tar.NewWriter(&raw)
	if err := archive.WriteHeader(&tar.Header{Name: "a", Mode: 0o644, Size: int64(size)}); err != nil {
		l.T.Fatal(err)
	}
	if _, err := archive.Write(Content(seed, size)); err != nil {
		l.T.Fatal(err)
	}
	compressor := gzip.NewWriter(&zipped)
	if err := archive.Close(); err != nil {
		l.T.Fatal(err)
	}
	if _, err := raw.WriteTo(compressor); err != nil {
		l.T.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		l.T.Fatal(err)
	}
	return l.Blob(ocispec.MediaTypeImageLayerGzip, zipped.Bytes())
}

// DiffID returns the digest of what the layer holds when it is not compressed.
func (l LayoutWriter) DiffID(layer ocispec.Descriptor) digest.Digest {
	file, err := os.Open(l.Path(layer.Digest))
	if err != nil {
		l.T.Fatal(err)
	}
	defer file.Close()
	if layer.MediaType != ocispec.MediaTypeImageLayerGzip {
		return layer.Digest
	}
	raw, err := gzip.NewReader(file)
	if err != nil {
		l.T.Fatal(err)
	}
	id, err := digest.FromReader(raw)
	if err != nil {
		l.T.Fatal(err)
	}
	return id
}

// JSON writes v as a blob.
func (l LayoutWriter) JSON(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		l.T.Fatal(err)
	}
	return l.Blob(mediaType, data)
}

// Blob writes data under its digest.
func (l LayoutWriter) Blob(mediaType string, data []byte) ocispec.Descriptor {
	d := digest.FromBytes(data)
	if err := os.MkdirAll(filepath.Dir(l.Path(d)), 0o755); err != nil {
		l.T.Fatal(err)
	}
	WriteFile(l.T, l.Path(d), data)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

// Path is where the blob with a digest is.
func (l LayoutWriter) Path(d digest.Digest) string {
	return filepath.Join(l.Dir, "blobs", d.Algorithm().String(), d.Encoded())
}

// WriteFile writes a file that everybody may read.
func WriteFile(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
}
