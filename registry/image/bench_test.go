package image_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// BenchmarkRead reads the blobs of a stream, and compares them with their
// digests.
func BenchmarkRead(b *testing.B) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	data := sample(8 << 20)
	for _, name := range []string{"a/layer.tar", "b/layer.tar", "c/layer.tar", "d/layer.tar"} {
		var layer bytes.Buffer
		inner := tar.NewWriter(&layer)
		err := errors.Join(inner.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(data))}))
		if _, writeErr := inner.Write(data); errors.Join(err, writeErr, inner.Close()) != nil {
			b.Fatal(err, writeErr)
		}
		err = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(layer.Len())})
		if _, writeErr := w.Write(layer.Bytes()); errors.Join(err, writeErr) != nil {
			b.Fatal(err, writeErr)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(archive.Len()))
	b.ReportAllocs()
	for b.Loop() {
		source, err := image.Read(bytes.NewReader(archive.Bytes()), "benchmark", nil)
		if err != nil {
			b.Fatal(err)
		}
		blobs := 0
		for ; ; blobs++ {
			blob, err := source.Next(b.Context())
			if err != nil {
				break // with the end of a tar that is no image
			}
			r, err := blob.Open()
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
		if blobs != 4 {
			b.Fatalf("got %d blobs, want 4", blobs)
		}
	}
}
