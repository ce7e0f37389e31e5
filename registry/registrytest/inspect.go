package registrytest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
)

// HasBlob reports whether a repository ("owner/image") holds a blob, and its
// size in bytes.
func (r *Registry) HasBlob(repository string, d digest.Digest) (size int64, ok bool) {
	f, ok := r.store.blob(strings.ToLower(repository), d.String())
	if !ok {
		return 0, false
	}
	return f.size, true
}

// Blob returns a blob that any repository holds. ok is false when none does or
// when its bytes were discarded.
func (r *Registry) Blob(d digest.Digest) (data []byte, ok bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, repo := range r.store.sorted() {
		if f, found := repo.blob(d.String()); found {
			return bytes.Clone(f.data), !f.discarded
		}
	}
	return nil, false
}

// Manifest returns what a tag or a digest of a repository points at.
func (r *Registry) Manifest(repository, reference string) (data []byte, mediaType string, ok bool) {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	if r.config.Flavor != Distribution {
		reference = strings.ToLower(reference)
	}
	v := r.store.repositories[strings.ToLower(repository)].version(reference)
	if v == nil {
		return nil, "", false
	}
	return bytes.Clone(v.manifest.data), v.manifest.mediaType, true
}

// Tags returns the tags of a repository, sorted.
func (r *Registry) Tags(repository string) []string {
	tags, _ := r.store.tags(strings.ToLower(repository))
	return tags
}

// Repositories returns the names of all repositories, sorted, those without a
// manifest included.
func (r *Registry) Repositories() []string {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	var names []string
	for _, repo := range r.store.sorted() {
		names = append(names, repo.name)
	}
	return slices.Clip(names)
}

// OpenSessions returns how many uploads were begun and neither ended nor given
// up.
func (r *Registry) OpenSessions() int {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	return len(r.store.sessions)
}

// CollectGarbage removes what no tag leads to: blobs that no manifest names,
// and manifests without a tag that no index with one names. Gitea's clean-up
// and the garbage collection of distribution come to that.
func (r *Registry) CollectGarbage() {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, repo := range r.store.repositories {
		repo.uploads = nil
		reached := map[string]bool{}
		for _, v := range repo.versions {
			if v.tagged {
				repo.reach(v, reached)
			}
		}
		repo.versions = slices.DeleteFunc(repo.versions, func(v *version) bool { return !reached[v.manifest.digest] })
	}
}

// reach notes a manifest and those that it names.
func (r *repository) reach(v *version, reached map[string]bool) {
	if v == nil || reached[v.manifest.digest] {
		return
	}
	reached[v.manifest.digest] = true
	var named struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	_ = json.Unmarshal(v.manifest.data, &named) // what is stored was read before
	for _, m := range named.Manifests {
		r.reach(r.version(m.Digest), reached)
	}
}
