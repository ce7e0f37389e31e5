package image

import (
	"errors"
	"hash"
	"io"

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
	// proof looks into a compressed layer, of which diffID is to be the inside.
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
