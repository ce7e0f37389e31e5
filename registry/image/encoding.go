package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
)

// headSize is how many bytes tell what a file is: one tar block.
const headSize = 512

// detect tells the encoding by the first bytes. It needs [headSize] of them, or all
// where there are fewer.
func detect(head []byte) Encoding {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952, section 2.3.1
		return EncodingGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), skippable(head): // RFC 8878, section 3.1
		return EncodingZstd
	case isTar(head):
		return EncodingTar
	}
	return EncodingOpaque
}

// detectWrapping is [detect] for a source as a whole, which may be compressed in
// ways that no layer is.
func detectWrapping(head []byte) Encoding {
	switch {
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")): // .xz file format, section 2.1.1.1
		return encodingXZ
	case bytes.HasPrefix(head, []byte("BZh")):
		return encodingBzip2
	}
	return detect(head)
}

// detectFile is [detect] for a file of a source. One of no bytes may be a layer
// with nothing in it: to those who read a tar it is one that has ended.
func detectFile(head []byte) Encoding {
	if len(head) == 0 {
		return EncodingTar
	}
	return detect(head)
}

// isCompressed reports an encoding with other bytes inside.
func (e Encoding) isCompressed() bool { return e != EncodingOpaque && e != EncodingTar }

// skippable reports the start of a zstd frame that decoders pass over; some
// compressors begin with one.
func skippable(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

// isTar reports the start of a tar: a header whose checksum is right, or, for
// an empty tar, a block of zeros.
func isTar(head []byte) bool {
	if len(head) < headSize {
		return false
	}
	_, err := tar.NewReader(bytes.NewReader(head[:headSize])).Next()
	// A header of a long name or of PAX records wants the blocks after it; an
	// empty tar is at its end.
	return err == nil || !errors.Is(err, tar.ErrHeader)
}

// isJSON reports whether a file looks like a JSON object or array.
func isJSON(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

// readHead reads the first bytes of r, up to [headSize]; a shorter r is no
// error.
func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// foreign names the formats that people mistake for image archives, so that
// the message can say what the file is.
func foreign(head []byte) string {
	for _, format := range []struct{ magic, name string }{
		{"PK\x03\x04", "a zip archive"},
		{"\xfd7zXZ\x00", "compressed with xz as well"},
		{"BZh", "compressed with bzip2 as well"},
		{"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"},
		{"SIMG", "a Singularity image"},
		{"hsqs", "a SquashFS image"},
		{"\x7fELF", "an executable"},
	} {
		if bytes.HasPrefix(head, []byte(format.magic)) {
			return format.name
		}
	}
	return ""
}
