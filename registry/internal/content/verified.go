package content

import (
	"errors"
	"io"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
)

// verified gives an error in place of [io.EOF] where its content is not what
// was announced.
type verified struct {
	r        io.Reader
	rest     int64
	verifier digest.Verifier
}

// Verified reads from r, and gives [registry.ErrDigestMismatch] in the place of
// [io.EOF] where that was not what was announced.
func Verified(r io.Reader, a Announced) io.Reader {
	return &verified{r: r, rest: a.Size, verifier: a.Digest.Verifier()}
}

func (v *verified) Read(p []byte) (int, error) {
	n, err := v.r.Read(p)
	_, _ = v.verifier.Write(p[:n]) // a hash never fails
	v.rest -= int64(n)
	if errors.Is(err, io.EOF) && (v.rest != 0 || !v.verifier.Verified()) {
		err = registry.ErrDigestMismatch
	}
	return n, err
}
