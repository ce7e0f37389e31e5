package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// An archive that `docker save` wrote is opened, and its raw layers are
// compressed with zstd.
func ExampleOpen() {
	ctx := context.Background()
	compression := image.Compression{Algorithm: image.Zstd}
	source, err := image.Open("testdata/app.tar", &image.Options{Compression: compression})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()

	sent := map[string]image.Sent{}
	for {
		blob, err := source.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if sent[blob.Name], err = send(blob, compression); err != nil {
			fmt.Println(err)
			return
		}
	}
	img, err := source.Finish(sent)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(img.Root.Descriptor.MediaType)
	for _, ref := range img.Root.References {
		fmt.Println(ref.MediaType)
	}
	// Output:
	// application/vnd.oci.image.manifest.v1+json
	// application/vnd.oci.image.config.v1+json
	// application/vnd.oci.image.layer.v1.tar+zstd
}

// A stream is read once; what it is shows at its end.
func ExampleRead() {
	stdin, err := os.Open("testdata/app.tar")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stdin.Close()
	source, err := image.Read(stdin, "standard input", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	for {
		blob, err := source.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(blob.Encoding, blob.Compress, blob.Once)
	}
	// Output:
	// tar true true
}

// send stands for an upload.
func send(blob *image.Blob, compression image.Compression) (image.Sent, error) {
	r, err := blob.Open()
	if err != nil {
		return image.Sent{}, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil || !blob.Compress {
		return image.Sent{Digest: digest.FromBytes(raw), Size: int64(len(raw))}, err
	}
	var buf bytes.Buffer
	w, err := compression.NewWriter(&buf)
	if err != nil {
		return image.Sent{}, err
	}
	if _, err = w.Write(raw); err != nil {
		return image.Sent{}, errors.Join(err, w.Close())
	}
	err = w.Close()
	return image.Sent{Digest: digest.FromBytes(buf.Bytes()), Size: int64(buf.Len()), DiffID: digest.FromBytes(raw)}, err
}
