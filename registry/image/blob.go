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

// verifier compares what is read with a size and, unless it is empty, a
// digest; of a compressed layer also what is inside. The last bytes of what turns out to be wrong are held back, so that
// whatever was sent of it stays incomplete.
type verifier struct {
	io.Closer
	r      io.Reader
	source string
	name   string
	want   digest.Digest
	size   int64

	read int64
	hash hash.Hash
	// proof looks into a compressed layer; diffID is the digest that the inside must have.
	proof  *proof
	diffID digest.Digest
	err    error
}

func verify(r io.ReadCloser, source string, p *part) io.ReadCloser {
	v := &verifier{Closer: r, r: io.LimitReader(r, p.size), source: source, name: p.name, want: p.desc.Digest, size: p.size}
	if p.diffID != "" {
		v.proof, v.diffID = newProof(p.encoding), p.diffID
	}
	if v.want != "" {
		v.hash = v.want.Algorithm().Hash()
	}
	if v.size == 0 {
		v.err = v.verdict()
	}
	return v
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.next(p)
	return n, named(err, v.source)
}

func (v *verifier) next(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.r.Read(p)
	v.read += int64(n)
	if v.hash != nil {
		v.hash.Write(p[:n])
	}
	if v.proof != nil {
		_, _ = v.proof.Write(p[:n]) // what is wrong shows in the end
	}
	switch {
	case v.read == v.size:
		if v.err = v.verdict(); !errors.Is(v.err, io.EOF) {
			return 0, v.err
		}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		v.err = fault(ErrTruncated, v.name, "ends after %d of %d bytes", v.read, v.size)
		return n, v.err
	case err != nil:
		v.err = fault(nil, v.name, "cannot be read").because(err)
		return n, v.err
	}
	return n, nil
}

// Close implements [io.Closer].
func (v *verifier) Close() error {
	if v.proof != nil {
		v.proof.end()
	}
	return v.Closer.Close()
}

// verdict is [io.EOF] for bytes that are what they should be.
func (v *verifier) verdict() error {
	if v.proof != nil {
		if err := v.proof.check(v.name, v.diffID); err != nil {
			return err
		}
	}
	if v.hash == nil {
		return io.EOF
	}
	if got := digest.NewDigest(v.want.Algorithm(), v.hash); got != v.want {
		return fault(ErrDigest, v.name, "its digest is %s, not %s", got, v.want)
	}
	return io.EOF
}

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

// claimOf is the digest in a file's name: "HEX", "HEX.json", "sha256:HEX", or
// "HEX.tar.gz" in any directory. It is empty for any other name.
func claimOf(name string) digest.Digest {
	encoded, _, _ := strings.Cut(strings.TrimPrefix(path.Base(name), "sha256:"), ".")
	d := digest.NewDigestFromEncoded(digest.SHA256, encoded)
	if d.Validate() != nil {
		return ""
	}
	return d
}
