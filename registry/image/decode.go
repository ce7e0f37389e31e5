package image

import (
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory of the zstd decoder. RFC 8878, section 3.1.1.1.2,
// recommends decoders to support 8 MiB, and encoders to need no more.
const maxWindow = 8 << 20

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

// decompress reads what is encoded as e; anything but gzip and zstd is read as
// it is. It needs about 8 MiB of memory at most, whatever the data claims.
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
	default:
		return io.NopCloser(r), nil
	}
}
