//go:build e2e

package test

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

// content returns size bytes that do not compress; the same seed gives the same bytes.
func content(seed byte, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // never fails
	return data
}

// buildContext writes a folder that builds into an image of two layers,
// which depend on the seed alone, and needs no network.
func buildContext(t *testing.T, seed byte, size int) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY a /a\nCOPY b /b\nCMD [\"/a\"]\n"))
	writeFile(t, filepath.Join(dir, "a"), content(seed, size))
	writeFile(t, filepath.Join(dir, "b"), []byte{seed})
	return dir
}

// layout writes an OCI layout of one index, as BuildKit writes it: an image of
// one layer of size bytes, and an attestation for it.
func layout(t *testing.T, seed byte, size int) string {
	t.Helper()
	l := layoutWriter{t: t, dir: t.TempDir()}
	image := l.image(l.layer(seed, size), "linux", runtime.GOARCH)
	image.Platform = &ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	statement := l.blob("application/vnd.in-toto+json", []byte(`{"predicateType":"https://slsa.dev/provenance/v0.2"}`))
	attestation := l.image(statement, "unknown", "unknown")
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": image.Digest.String(),
	}
	index := l.json(ocispec.MediaTypeImageIndex, indexOf(image, attestation))
	top, err := json.Marshal(indexOf(index))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(l.dir, "index.json"), top)
	writeFile(t, filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l.dir
}

func indexOf(manifests ...ocispec.Descriptor) ocispec.Index {
	return ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: manifests,
	}
}

type layoutWriter struct {
	t   *testing.T
	dir string
}

// image writes a manifest and a configuration for one layer.
func (l layoutWriter) image(layer ocispec.Descriptor, goos, arch string) ocispec.Descriptor {
	config := ocispec.Image{
		Platform: ocispec.Platform{OS: goos, Architecture: arch},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{l.diffID(layer)}},
	}
	return l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    l.json(ocispec.MediaTypeImageConfig, config),
		Layers:    []ocispec.Descriptor{layer},
	})
}

// layer writes a compressed layer of one file.
func (l layoutWriter) layer(seed byte, size int) ocispec.Descriptor {
	var raw, zipped bytes.Buffer
	archive := tar.NewWriter(&raw)
	if err := archive.WriteHeader(&tar.Header{Name: "a", Mode: 0o644, Size: int64(size)}); err != nil {
		l.t.Fatal(err)
	}
	if _, err := archive.Write(content(seed, size)); err != nil {
		l.t.Fatal(err)
	}
	compressor := gzip.NewWriter(&zipped)
	if err := archive.Close(); err != nil {
		l.t.Fatal(err)
	}
	if _, err := raw.WriteTo(compressor); err != nil {
		l.t.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		l.t.Fatal(err)
	}
	return l.blob(ocispec.MediaTypeImageLayerGzip, zipped.Bytes())
}

// diffID returns the digest of what the layer holds when it is not compressed.
func (l layoutWriter) diffID(layer ocispec.Descriptor) digest.Digest {
	file, err := os.Open(l.path(layer.Digest))
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	if layer.MediaType != ocispec.MediaTypeImageLayerGzip {
		return layer.Digest
	}
	raw, err := gzip.NewReader(file)
	if err != nil {
		l.t.Fatal(err)
	}
	id, err := digest.FromReader(raw)
	if err != nil {
		l.t.Fatal(err)
	}
	return id
}

func (l layoutWriter) json(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.blob(mediaType, data)
}

func (l layoutWriter) blob(mediaType string, data []byte) ocispec.Descriptor {
	d := digest.FromBytes(data)
	if err := os.MkdirAll(filepath.Dir(l.path(d)), 0o755); err != nil {
		l.t.Fatal(err)
	}
	writeFile(l.t, l.path(d), data)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

func (l layoutWriter) path(d digest.Digest) string {
	return filepath.Join(l.dir, "blobs", d.Algorithm().String(), d.Encoded())
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
