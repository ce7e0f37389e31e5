package registrytest

import (
	"bytes"
	"net/http"
	"regexp"
	"time"

	digest "github.com/opencontainers/go-digest"
)

// This file has the endpoints of the distribution registry that are not
// Gitea's. Comments cite its source, release 2.8, by file below registry.

// beginSession begins an upload, unless the blob is in the repository that
// from names. A digest in the query changes nothing.
func (c *call) beginSession() {
	query := c.req.URL.Query()
	digest, from := query.Get("mount"), query.Get("from")
	if f, ok := c.reg.store.upload(from, digest); ok {
		// A digest that is not the blob's own leads to itself in the other
		// repository, so to nothing: storage/linkedblobstore.go, mount.
		if f.digest == digest {
			c.reg.store.add(c.repository(), c.owner, file{content: f.content})
		}
		c.created(digest)
		return
	}
	s := c.reg.store.newSession()
	var none int64
	c.begin(http.StatusAccepted, headers{location: c.uploadLocation(s), uploadID: s.id, rangeReceived: "0-0", length: &none})
}

// getRange answers HEAD and GET of a blob, or of a part of it:
// storage/blobserver.go, ServeBlob.
func (c *call) getRange() {
	f, ok := c.linked()
	if !ok {
		return
	}
	if f.discarded {
		c.serve(file{content: f.content, mediaType: octetStream})
		return
	}
	header := c.w.Header()
	header.Set("Content-Type", octetStream)
	header.Set("Docker-Content-Digest", f.digest)
	header.Set("ETag", `"`+f.digest+`"`)
	header.Set(versionHeader, "registry/2.0")
	http.ServeContent(&wholeLength{ResponseWriter: c.w, size: f.size}, c.req, "", time.Time{}, bytes.NewReader(f.data))
}

const octetStream = "application/octet-stream"

// wholeLength announces the length of the whole blob where the range asked for
// is refused, so that the answer ends before it should.
type wholeLength struct {
	http.ResponseWriter

	size int64
}

func (w *wholeLength) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.Header().Set("Content-Length", itoa(w.size))
	}
	w.ResponseWriter.WriteHeader(status)
}

// linked finds the blob of the path in the repository, or answers.
func (c *call) linked() (file, bool) {
	if digest.Digest(c.param).Validate() != nil {
		c.fail(errDigestInvalid)
		return file{}, false
	}
	f, ok := c.reg.store.upload(c.repository(), c.param)
	if !ok {
		c.fail(errBlobUnknown)
	}
	return f, ok
}

// unlinkBlob takes a blob out of the repository: handlers/blob.go, DeleteBlob.
func (c *call) unlinkBlob() {
	if _, ok := c.linked(); ok {
		c.reg.store.deleteBlob(c.repository(), c.param)
		c.begin(http.StatusAccepted, headers{})
	}
}

// oddDigest is what the route takes for a digest though it is none.
var oddDigest = regexp.MustCompile(`\A[a-z0-9]+([.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+\z`)

// byReference serves a manifest's path. A digest that is none is taken for a
// tag, whose file cannot be named so: handlers/manifests.go.
func byReference(serve func(*call)) func(*call) {
	return func(c *call) {
		switch {
		case isDigest(c.param), tagPattern.MatchString(c.param):
			serve(c)
		case oddDigest.MatchString(c.param):
			c.fail(wireError{http.StatusInternalServerError, "UNKNOWN", "unknown error"})
		default:
			http.NotFound(c.w, c.req)
		}
	}
}

// deleteRevision takes a manifest and its tags out of the repository. There is
// no deletion of a tag alone, and no look whether there was something to
// delete: handlers/manifests.go, DeleteManifest.
func (c *call) deleteRevision() {
	if !isDigest(c.param) {
		c.fail(errDigestInvalid)
		return
	}
	c.reg.store.deleteManifest(c.repository(), c.param)
	c.begin(http.StatusAccepted, headers{})
}

// allTags answers tags/list, which knows no pages: handlers/tags.go, GetTags.
func (c *call) allTags() {
	tags, ok := c.reg.store.tags(c.repository())
	if !ok {
		c.fail(errNameUnknown)
		return
	}
	c.ok(tagList{c.repository(), tags})
}
