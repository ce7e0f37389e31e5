package image

import (
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

// What bounds the memory of a decoder. It takes as much as the data needs, and
// no more than that; most needs 8 MiB.
const (
	// maxWindow is what the zstd command takes without being asked, and makes
	// with --long or --ultra.
	maxWindow = 128 << 20
	// maxDictionary is what "xz -9" needs.
	maxDictionary = 64 << 20
)

// Encodings of an archive as a whole, which no layer has.
const (
	encodingXZ    Encoding = "xz"
	encodingBzip2 Encoding = "bzip2"
)

// NewReader gives back the raw bytes of what [Compression.NewWriter] wrote.
// Closing it closes r as well; r is left open when there is an error.
func (c Compression) NewReader(r io.ReadCloser) (io.ReadCloser, error) {
	z, err := decompress(Encoding(c.algorithm()), r)
	if err != nil {
		return nil, err
	}
	return decoded{z, r}, nil
}

type decoded struct {
	io.ReadCloser
	from io.Closer
}

func (d decoded) Close() error { return errors.Join(d.ReadCloser.Close(), d.from.Close()) }

// decompress reads what is encoded as e; what is not compressed is read as it
// is.
func decompress(e Encoding, r io.Reader) (io.ReadCloser, error) {
	switch e {
	case EncodingGzip:
		z, err := gzip.NewReader(r)
		return io.NopCloser(z), err // Its Close repeats the last error of Read.
	case EncodingZstd:
		z, err := zstd.NewReader(r,
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case encodingXZ:
		z, err := xz.NewReader(r, maxDictionary)
		return io.NopCloser(z), err
	case encodingBzip2:
		return io.NopCloser(bzip2.NewReader(r)), nil
	default:
		return io.NopCloser(r), nil
	}
}
