package registrytest

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// session is an upload in parts. It is bound to no image: any that its user
// may write to will do.
type session struct {
	id string
	// received is what the database says, which is what the client hears.
	received int64
	// busy is set while a request appends.
	busy bool
	// spool is the temporary file. A request that was cut leaves it longer
	// than received, and Gitea then refuses to go on, for ever: services/
	// packages/container/blob_uploader.go, Append.
	spool *spool
}

// postUpload begins an upload: container.go, PostBlobsUploads.
func (c *call) postUpload() {
	if digest := c.form("mount"); digest != "" && c.mount(digest, c.form("from")) {
		c.created(digest)
		return
	}
	if digest := c.form("digest"); digest != "" {
		c.single(digest)
		return
	}
	s := c.reg.store.newSession()
	h := headers{location: c.uploadLocation(s), uploadID: s.id}
	if c.forgejo() {
		h.rangeReceived = "0-0"
	}
	c.begin(http.StatusAccepted, h)
}

// form reads a parameter as Gitea does, which parses, and so consumes, the
// body of a request sent as a form.
func (c *call) form(name string) string { return strings.TrimSpace(c.req.FormValue(name)) }

// mount takes a blob from another repository. Without from, every repository
// on the server will do. The digest is not looked at beyond that.
func (c *call) mount(digest, from string) bool {
	blob, ok := c.mountable(digest, from)
	if ok {
		c.reg.store.add(c.repository(), c.owner, file{content: blob})
	}
	return ok
}

func (c *call) mountable(digest, from string) (*content, bool) {
	c.reg.store.mu.Lock()
	defer c.reg.store.mu.Unlock()
	var found *content
	for _, repo := range c.reg.store.sorted() {
		if from != "" && from != repo.name {
			continue
		}
		if f, ok := repo.blob(digest); ok {
			found = f.content
			break
		}
	}
	if found == nil {
		return nil, false
	}
	// from only says where to look: the blob may be read from anywhere.
	for _, repo := range c.reg.store.sorted() {
		if _, ok := repo.blob(digest); ok && c.reg.mayMount(c.who, repo.owner) {
			return found, true
		}
	}
	return nil, false
}

// single stores the whole body of a POST.
func (c *call) single(digest string) {
	spool := c.reg.store.newSpool()
	if _, err := io.Copy(spool, c.req.Body); err != nil {
		c.fail(errServer)
		return
	}
	if c.save(spool.content(), digest) {
		c.created(digest)
	}
}

func (c *call) created(digest string) {
	c.begin(http.StatusCreated, headers{location: c.location("blobs", digest), digest: digest})
}

func (c *call) location(kind, name string) string {
	if c.distribution() {
		return c.origin() + "/v2/" + c.image + "/" + kind + "/" + name
	}
	return "/v2/" + c.owner.name + "/" + c.image + "/" + kind + "/" + name
}

func (c *call) uploadLocation(s *session) string { return c.location("blobs/uploads", s.id) }

// getUpload answers with the state of an upload: GetBlobsUpload.
func (c *call) getUpload() {
	s, received := c.session()
	if s == nil {
		return
	}
	h := headers{location: c.uploadLocation(s), uploadID: s.id, rangeReceived: rangeOf(received)}
	switch {
	case c.forgejo():
		// One more than there is, and no Location.
		h.location, h.rangeReceived = "", fmt.Sprintf("0-%d", received)
	case c.distribution() && received == 0:
		h.rangeReceived = "0-0"
	}
	c.begin(http.StatusNoContent, h)
}

// session finds the session of the path, or answers.
func (c *call) session() (s *session, received int64) {
	s, received = c.reg.store.session(c.param)
	if s == nil {
		c.fail(errBlobUploadUnknown)
	}
	return s, received
}

func rangeOf(received int64) string {
	if received == 0 {
		return ""
	}
	return fmt.Sprintf("0-%d", received-1)
}

// patchUpload appends a chunk: PatchBlobsUpload.
func (c *call) patchUpload() {
	s, received := c.session()
	if s == nil {
		return
	}
	// The distribution registry appends whatever the range says:
	// handlers/blobupload.go, PatchBlobData.
	if fault := checkContentRange(c.req.Header.Get("Content-Range"), received); fault != nil && !c.distribution() {
		c.fail(*fault)
		return
	}
	if !c.append(s) {
		return
	}
	received = c.reg.store.release(s, true)
	c.begin(http.StatusAccepted, headers{location: c.uploadLocation(s), uploadID: s.id, rangeReceived: rangeOf(received)})
}

// checkContentRange says why a chunk is refused. Gitea reads "START-END"
// without a unit, and looks at START alone.
func checkContentRange(value string, received int64) *wireError {
	if value == "" {
		if received != 0 {
			return errBlobUploadInvalid.with(http.StatusBadRequest, "Stream uploads after first write are not allowed")
		}
		return nil
	}
	var start, end int
	if _, err := fmt.Sscanf(value, "%d-%d", &start, &end); err != nil {
		return &errBlobUploadInvalid
	}
	if int64(start) != received {
		return errBlobUploadInvalid.with(http.StatusRequestedRangeNotSatisfiable, "")
	}
	return nil
}

// append adds the body to a claimed session, or answers.
func (c *call) append(s *session) bool {
	if !c.reg.store.claim(s) {
		c.fail(errServer) // errOffsetMismatch
		return false
	}
	if _, err := io.Copy(s.spool, c.req.Body); err != nil {
		c.reg.store.release(s, c.distribution())
		c.fail(errServer)
		return false
	}
	return true
}

// putUpload ends an upload: PutBlobsUpload. A session outlives a wrong digest,
// with the body appended.
func (c *call) putUpload() {
	digest := c.form("digest")
	if digest == "" {
		c.fail(errDigestInvalid)
		return
	}
	s, _ := c.session()
	if s == nil || !c.append(s) {
		return
	}
	blob := s.spool.content()
	c.reg.store.release(s, true)
	saved := c.save(blob, digest)
	if saved || c.distribution() {
		c.reg.store.remove(s.id)
	}
	if saved {
		c.created(blob.digest)
	}
}

// save stores an uploaded blob, or answers.
func (c *call) save(blob *content, digest string) bool {
	alias := c.distribution() && blob.digest != digest && blob.is(digest)
	if blob.digest != digest && !alias {
		c.fail(errDigestInvalid)
		return false
	}
	if c.overSizeQuota(blob.size) {
		c.reg.store.touch(c.repository(), c.owner)
		c.fail(errForbidden)
		return false
	}
	c.reg.store.add(c.repository(), c.owner, file{content: blob})
	if alias {
		// It is known by both digests: storage/blobwriter.go, Commit.
		c.reg.store.add(c.repository(), c.owner, file{content: blob, alias: digest})
	}
	return true
}

// deleteUpload gives an upload up: DeleteBlobsUpload.
func (c *call) deleteUpload() {
	if s, _ := c.session(); s != nil {
		c.reg.store.remove(s.id)
		c.begin(http.StatusNoContent, headers{})
	}
}

func (s *store) newSession() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSession++
	sum := sha256.Sum256(fmt.Append(nil, s.lastSession))
	// 25 lower-case characters, as Gitea's: models/packages/package_blob_upload.go.
	id := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:25]
	session := &session{id: id, spool: s.newSpool()}
	s.sessions[id] = session
	return session
}

// session finds a session by its id; nil when there is none.
func (s *store) session(id string) (session *session, received int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session = s.sessions[id]; session == nil {
		return nil, 0
	}
	return session, session.received
}

// claim reserves a session for one request. It fails while another one
// appends, and for ever after one was cut.
func (s *store) claim(session *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session.busy || session.spool.size != session.received {
		return false
	}
	session.busy = true
	return true
}

// release ends a claim; what was appended counts only when commit is set.
func (s *store) release(session *session, commit bool) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.busy = false
	if commit {
		session.received = session.spool.size
	}
	return session.received
}

func (s *store) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, id)
}

// overSizeQuota reports whether an uploaded blob is too much for its owner:
// services/packages/packages.go, CheckSizeQuotaExceeded.
func (c *call) overSizeQuota(size int64) bool {
	quota := c.config().Quota
	if c.who.siteAdmin() {
		return false
	}
	if quota.BlobSize > 0 && size > quota.BlobSize {
		return true
	}
	if quota.OwnerSize == 0 {
		return false
	}
	c.reg.store.mu.Lock()
	defer c.reg.store.mu.Unlock()
	for _, repo := range c.reg.store.repositories {
		if repo.owner == c.owner {
			for _, f := range repo.files() {
				size += f.size
			}
		}
	}
	return size > quota.OwnerSize
}

// overCountQuota reports whether one more manifest is too much for its owner:
// CheckCountQuotaExceeded. One that replaces another is none more. The caller
// holds the store's mu.
func (c *call) overCountQuota(reference string) bool {
	quota := c.config().Quota
	if quota.OwnerCount == 0 || c.who.siteAdmin() {
		return false
	}
	count := 1
	for _, repo := range c.reg.store.repositories {
		if repo.owner != c.owner {
			continue
		}
		for _, v := range repo.versions {
			if repo.name != c.repository() || v.reference != reference {
				count++
			}
		}
	}
	return count > quota.OwnerCount
}
