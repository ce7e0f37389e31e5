package relay

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

func (r *Relay) handler() http.Handler {
	base := "/v2/" + r.repository
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("HEAD "+base+"/blobs/{digest}", r.statBlob)
	mux.HandleFunc("POST "+base+"/blobs/uploads/{$}", r.startUpload)
	mux.HandleFunc("PATCH "+base+"/blobs/uploads/{id}", r.streamUpload)
	mux.HandleFunc("PUT "+base+"/blobs/uploads/{id}", r.commitUpload)
	mux.HandleFunc("DELETE "+base+"/blobs/uploads/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("PUT "+base+"/manifests/{reference}", r.putManifest)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "UNKNOWN", "not here")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		username, password, _ := req.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(username+":"+password), []byte(r.loopback.Username+":"+r.loopback.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="docker-gitea"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "this is for one push only")
			return
		}
		if !r.enter() {
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the push has ended")
			return
		}
		defer r.running.Done()
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if req.URL.Path != "/v2/" && !r.awaitReady(req.Context()) { // moby waits 15 s for the first
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the push has ended")
			return
		}
		mux.ServeHTTP(w, req)
	})
}

// enter counts a request in. It is false after close.
func (r *Relay) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.reach()
	r.running.Add(1)
	return true
}

// awaitReady is false where the push ended before.
func (r *Relay) awaitReady(ctx context.Context) bool {
	select {
	case <-r.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// refuse answers with an error of the specification ("error codes").
func refuse(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}}) // the client may be gone
}

// fail answers a request that err kept from being done. An error of the image's
// holder is its own to mend, and a blob that the registry has lost meanwhile is
// the source's; any other has been retried and ends the push.
func (r *Relay) fail(w http.ResponseWriter, err error) {
	if !errors.Is(err, registry.ErrSource) && !errors.Is(err, registry.ErrBlobUnknown) && !errors.Is(err, context.Canceled) {
		r.mu.Lock()
		if r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
		r.cancel(err)
	}
	refuse(w, http.StatusInternalServerError, "UNKNOWN", printable.Clean(err.Error()))
}

// statBlob asks the destination for a blob, under this name or any other.
func (r *Relay) statBlob(w http.ResponseWriter, req *http.Request) {
	d, err := digest.Parse(req.PathValue("digest"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "no digest")
		return
	}
	found, err := r.find(req.Context(), d)
	switch {
	case err != nil:
		r.fail(w, err)
	case found.Digest == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		if !r.digests.get(d).lost && !r.standIns.fresh(d) {
			r.exists(found)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(found.Size, 10))
		w.Header().Set("Docker-Content-Digest", d.String())
	}
}

// find looks in the destination and, for a layer that another one may have,
// there. (An upload whose digest is known looks by itself; a layer that moby
// compresses once more has none.)
func (r *Relay) find(ctx context.Context, d digest.Digest) (ocispec.Descriptor, error) {
	known := r.digests.get(d)
	switch {
	case known.lost: // asked for right after it was sent
		return ocispec.Descriptor{Digest: d, Size: 1}, nil
	case known.whole: // likewise
		return ocispec.Descriptor{Digest: d, Size: known.size}, nil
	}
	if found, err := r.standIns.find(d); err != nil || found.Digest != "" {
		return found, err
	}
	found, err := r.to.Find(ctx, d)
	if err != nil || found.Digest != "" || !known.before {
		return found, err
	}
	if mounted, err := r.to.Mount(ctx, d); err != nil || !mounted {
		return ocispec.Descriptor{}, err
	}
	return r.to.Find(ctx, d)
}

// exists tells, once, of a blob that need not be sent.
func (r *Relay) exists(found ocispec.Descriptor) {
	if before := r.digests.change(found.Digest, func(b *blob) { b.told = true }); !before.told {
		r.to.Exists(found)
	}
}
