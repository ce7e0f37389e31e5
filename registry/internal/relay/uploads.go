package relay

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
)

func (r *Relay) startUpload(w http.ResponseWriter, _ *http.Request) {
	id := strings.ToLower(rand.Text())
	r.uploads.set(id, upload{state: uploadOpen})
	r.accepted(w, id, 0)
}

// address is that of an upload.
func (r *Relay) address(id string) string { return "/v2/" + r.repository + "/blobs/uploads/" + id }

func (r *Relay) accepted(w http.ResponseWriter, id string, size int64) {
	w.Header().Set("Location", r.address(id))
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(http.StatusAccepted)
}

// streamUpload passes on a blob whose digest comes at its end: moby sends a
// layer while it compresses it, in one request.
func (r *Relay) streamUpload(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("id")
	u, known := r.uploads.get(id)
	switch {
	case !known:
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	case u.state != uploadOpen:
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "an upload is one request")
		return
	}
	data, whole, err := head(req.Body)
	if err != nil {
		r.fail(w, fmt.Errorf("%w: %w", registry.ErrSource, err))
		return
	}
	begins := beginning(data)
	if !whole && r.standIns.mayBe(begins) {
		r.uploads.set(id, upload{state: uploadBroken})
		if err := breakOff(w, req, r.address(id), id); err != nil {
			r.Debug(req.Context(), "break off a layer", err)
		}
		return
	}
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), req.Body))
	u, err = r.pass(req, &image.Blob{Name: fmt.Sprintf("upload %d", r.uploads.next())}, begins)
	if err != nil {
		r.fail(w, err)
		return
	}
	r.uploads.set(id, u)
	r.accepted(w, id, u.sent.Size)
}

// commitUpload ends a streamed upload, or takes a whole one: containerd knows
// what it sends.
func (r *Relay) commitUpload(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("id")
	u, known := r.uploads.get(id)
	d, err := digest.Parse(req.URL.Query().Get("digest"))
	switch {
	case !known:
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	case err == nil && u.state == uploadOpen && req.ContentLength >= 0:
		u, err = r.pass(req, &image.Blob{Name: d.String(), Digest: d, Size: req.ContentLength}, "")
		if err != nil {
			r.fail(w, err)
			return
		}
	}
	if err != nil || u.state == uploadOpen || u.digest(d) != d {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the digest is not that of the content")
		return
	}
	r.uploads.end(id)
	r.digests.change(d, func(b *blob) {
		switch u.state {
		case uploadBroken: // the digest may be that of the whole layer too
			b.standIn = true
		case uploadDropped:
			b.lost = true
		case uploadPassed, uploadOpen:
			b.told = true
		}
	})
	w.Header().Set("Location", "/v2/"+r.repository+"/blobs/"+d.String())
	w.Header().Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
}

// pass sends the body of a request to the destination as a blob, or as much of it
// as that takes. begins is what the layer that it is begins with, if that is known.
func (r *Relay) pass(req *http.Request, b *image.Blob, begins digest.Digest) (upload, error) {
	sent, err := r.passOn(req, b)
	switch {
	case errors.Is(err, content.ErrPassed):
		return upload{state: uploadDropped}, r.drop(req)
	case err != nil:
		return upload{}, err
	}
	r.digests.change(sent.Digest, func(b *blob) { b.whole, b.size, b.begins = true, sent.Size, begins })
	return upload{state: uploadPassed, sent: sent}, nil
}

// drop lets the rest of an upload go by when the registry did not get everything and
// would need its beginning again. The daemon would not send that again by itself, or
// not soon, so it is asked to push once more; then copies are kept.
func (r *Relay) drop(req *http.Request) error {
	r.mu.Lock()
	r.keep = true
	r.mu.Unlock()
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	return nil
}

// keeps reports whether a copy of blobs is kept: only after one was needed.
func (r *Relay) keeps() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keep
}

// passOn sends the body of a request to the destination as a blob, reading
// it to its end also where the registry turns out to have it.
func (r *Relay) passOn(req *http.Request, b *image.Blob) (image.Sent, error) {
	leave, err := r.to.Enter(req.Context())
	if err != nil {
		return image.Sent{}, err
	}
	defer leave()
	var passing document
	body := io.TeeReader(req.Body, &passing)
	sent, err := r.to.Send(req.Context(), b, body, r.keeps())
	if err != nil {
		return image.Sent{}, err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return image.Sent{}, fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	if int64(len(passing)) == sent.Size {
		r.digests.change(sent.Digest, func(b *blob) { b.document = passing })
	}
	return sent, nil
}

// document keeps what is written to it if that may be a config: a small JSON
// object. Of anything else it stays empty, or incomplete.
type document []byte

// maxDocument bounds it, in bytes. A larger config is read from the registry.
const maxDocument = 256 << 10

func (d *document) Write(p []byte) (int, error) {
	if room := maxDocument - len(*d); len(*d) > 0 || bytes.HasPrefix(p, []byte("{")) {
		*d = append(*d, p[:min(len(p), room)]...)
	}
	return len(p), nil
}
