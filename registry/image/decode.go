package image

import (
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ParseManifest reads a manifest or an index that a registry gave.
func ParseManifest(mediaType string, data []byte) (Manifest, error) {
	b, err := parseBody("manifest", mediaType, data)
	if err != nil {
		return Manifest{}, err
	}
	return newManifest(b, data), nil
}

// NewReader gives back the raw bytes of what NewWriter compressed. Closing it
// closes r as well.
func (c Compression) NewReader(r io.ReadCloser) (io.ReadCloser, error) {
	switch c.algorithm() {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		return readCloser{z, r}, nil
	case Zstd:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		return readCloser{z, r}, nil
	}
	return r, nil
}

// readCloser reads from one thing and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}
