package image

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"path"
	"strings"

	digest "github.com/opencontainers/go-digest"
)

// proof takes the bytes of a compressed layer as they pass, to find out what is
// inside. The layers of a docker archive need it: the config gives the digests
// of the raw bytes, and nothing else fixes those that are stored.
type proof struct {
	stored hash.Hash
	input  *io.PipeWriter
	// done is closed when the fields below are known.
	done chan struct{}
	raw  digest.Digest
	err  error
}

// newProof begins a proof, which [proof.end] has to end.
func newProof(e Encoding) *proof {
	r, w := io.Pipe()
	p := &proof{stored: sha256.New(), input: w, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.raw, p.err = rawDigest(e, bufio.NewReaderSize(r, 64<<10))
		_, _ = io.Copy(io.Discard, r) // behind a fault, so that the writer can go on
	}()
	return p
}

// rawDigest is the digest of what is inside.
func rawDigest(e Encoding, r io.Reader) (digest.Digest, error) {
	z, err := decompress(e, r)
	if err != nil {
		return "", err
	}
	raw := sha256.New()
	_, err = io.Copy(raw, z)
	return digest.NewDigest(digest.SHA256, raw), errors.Join(err, z.Close())
}

// Write takes more of the layer.
func (p *proof) Write(b []byte) (int, error) {
	p.stored.Write(b)
	return p.input.Write(b)
}

// end says that there is no more. It may be called again.
func (p *proof) end() {
	_ = p.input.Close() // never fails
	<-p.done
}

// check compares a layer, whose bytes have all passed, with what its source
// says of it: its diff ID, and the digest that may be in its name. Some writers
// name it by what is stored, and some by what is inside.
func (p *proof) check(name string, diffID digest.Digest) error {
	p.end()
	stored := digest.NewDigest(digest.SHA256, p.stored)
	switch claimed := claimOf(name); {
	case isCut(p.err):
		return fault(ErrTruncated, name, "is damaged, its compressed bytes end too early")
	case p.err != nil:
		return fault(ErrDigest, name, "is damaged, it cannot be decompressed").because(p.err)
	case claimed != "" && claimed != stored && claimed != p.raw:
		return fault(ErrDigest, name, "its digest is %s", stored)
	case diffID.Algorithm() == digest.SHA256 && p.raw != diffID:
		return fault(ErrDigest, name, "the digest of its content is %s, but the config says %s", p.raw, diffID)
	}
	return nil
}

// isCut reports compressed data without its end. The error itself is that of a
// connection that broke off as well, and is kept from those who try again then.
func isCut(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// claimOf is the digest by which a file is named: of "HEX", "HEX.json",
// "sha256:HEX", and of "HEX.tar.gz" in whatever directory; or "".
func claimOf(name string) digest.Digest {
	encoded, _, _ := strings.Cut(strings.TrimPrefix(path.Base(name), "sha256:"), ".")
	d := digest.NewDigestFromEncoded(digest.SHA256, encoded)
	if d.Validate() != nil {
		return ""
	}
	return d
}
