package registrytest

import (
	"net/http"

	_ "crypto/sha512" // for digest.Validate

	digest "github.com/opencontainers/go-digest"
)

// getBlob answers HEAD and GET of a blob in this repository alone: container.go,
// HeadBlob and GetBlob. There are no ranges.
func (c *call) getBlob() {
	f, ok := c.reg.store.blob(c.repository(), c.param)
	if !ok || digest.Digest(c.param).Validate() != nil {
		c.fail(errBlobUnknown)
		return
	}
	if c.req.Method == http.MethodHead {
		f.mediaType = ""
	}
	c.serve(f)
}

// serve answers with the bytes of a file. Those that were discarded cannot be
// had: the answer ends after its headers.
func (c *call) serve(f file) {
	length := &f.size
	if c.forgejo() && f.size == 0 {
		length = nil // which it takes for "unknown"
	}
	c.begin(http.StatusOK, headers{contentType: f.mediaType, length: length, digest: f.digest})
	if c.req.Method == http.MethodGet {
		_, _ = c.w.Write(f.data)
	}
}

// deleteBlob removes a blob whether or not a manifest names it, or it exists:
// DeleteBlob.
func (c *call) deleteBlob() {
	if digest.Digest(c.param).Validate() != nil {
		c.fail(errBlobUnknown)
		return
	}
	c.reg.store.deleteBlob(c.repository(), c.param)
	c.begin(http.StatusAccepted, headers{})
}
