package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// putManifest passes a manifest on: one of an index by its digest, the one of
// the tag under all tags of the push.
func (r *Relay) putManifest(w http.ResponseWriter, req *http.Request) {
	data, err := io.ReadAll(io.LimitReader(req.Body, response.MaxManifest+1))
	if err != nil {
		r.fail(w, fmt.Errorf("%w: %w", registry.ErrSource, err))
		return
	}
	m, err := image.ParseManifest(response.MediaType(req.Header), data)
	reference := req.PathValue("reference")
	if err != nil || reference != registry.LoopbackTag && reference != m.Descriptor.Digest.String() {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "this is no such manifest")
		return
	}
	if reference == registry.LoopbackTag {
		err = r.putRoot(req.Context(), m)
	} else {
		err = r.putChild(req.Context(), m)
	}
	if err != nil {
		r.fail(w, err)
		return
	}
	if r.forget.Load() && r.hasRoot() {
		refuse(w, http.StatusConflict, "DENIED", "the image has arrived, and this place ends with its push")
		return
	}
	w.Header().Set("Location", "/v2/"+r.repository+"/manifests/"+reference)
	w.Header().Set("Docker-Content-Digest", m.Descriptor.Digest.String())
	w.WriteHeader(http.StatusCreated)
}

// putChild puts a manifest of an index, unless it names what is lost and comes once
// more.
func (r *Relay) putChild(ctx context.Context, m image.Manifest) error {
	if slices.ContainsFunc(m.References, func(d ocispec.Descriptor) bool { return r.digests.get(d.Digest).lost }) {
		return nil
	}
	err := r.to.PutManifest(ctx, m)
	if !r.lostMeanwhile(err) {
		return err
	}
	r.digests.change(m.Descriptor.Digest, func(b *blob) { b.lost = true })
	return nil
}

// putRoot points the tags of the push at the daemon's manifest, or, where that
// names layers that the registry lacks, has them pushed.
func (r *Relay) putRoot(ctx context.Context, m image.Manifest) error {
	resolved, again, err := r.standIns.resolve(ctx, m)
	again = r.digests.takeLost() || again
	if err == nil && !again {
		if err = r.to.PutRoot(ctx, resolved); r.lostMeanwhile(err) {
			again, err = true, nil
		}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again = again; !again {
		r.root = &resolved
	}
	return nil
}

// lostMeanwhile reports, once, that a manifest was refused for a blob that the
// registry had when it was asked: another push took away the last tag that led to
// it. The holder then pushes once more, and finds it missing.
func (r *Relay) lostMeanwhile(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resent || !errors.Is(err, registry.ErrBlobUnknown) {
		return false
	}
	r.resent = true
	return true
}

// Layers pairs the layers of a daemon's manifest with their diff IDs, by its config:
// the one that has just passed, or else the registry's.
func (r *Relay) Layers(ctx context.Context, m image.Manifest) ([]image.Layer, error) {
	if len(m.References) == 0 {
		return nil, errors.New("the manifest names no config")
	}
	config := m.References[0].Digest
	data := r.digests.get(config).document
	if data == nil {
		var err error
		if data, err = r.to.Config(ctx, config); err != nil {
			return nil, err
		}
	}
	return m.Layers(data)
}

// Begins is what a layer begins with that has passed whole, as
// [content.Layer.Begins] has it; empty where that is not known.
func (r *Relay) Begins(layer image.Layer) digest.Digest { return r.digests.get(layer.Digest).begins }

// Repository is the name that the daemon remembers its pushes to here by.
func (r *Relay) Repository() string { return r.repository }
