package registrytest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	maxManifest = 10 << 20 // bytes

	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaTypeHelmConfig     = "application/vnd.cncf.helm.config.v1+json"
)

// tagPattern is container.go:49.
var tagPattern = regexp.MustCompile(`\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z`)

func isDigest(reference string) bool { return digest.Digest(reference).Validate() == nil }

// normalReference is a reference as it is stored: tags are folded to lower
// case, except by the distribution registry.
func (c *call) normalReference() string {
	if c.distribution() {
		return c.param
	}
	return strings.ToLower(c.param)
}

// getManifest answers HEAD and GET of a manifest: container.go, HeadManifest
// and GetManifest.
func (c *call) getManifest() {
	c.reg.store.mu.Lock()
	v := c.reg.store.repositories[c.repository()].version(c.normalReference())
	c.reg.store.mu.Unlock()
	if v == nil {
		c.fail(errManifestUnknown)
		return
	}
	c.serve(v.manifest)
}

// deleteManifest removes a tag, or everything that is the manifest of a
// digest: DeleteManifest.
func (c *call) deleteManifest() {
	if !c.reg.store.deleteManifest(c.repository(), c.normalReference()) {
		c.fail(errManifestUnknown)
		return
	}
	c.begin(http.StatusAccepted, headers{})
}

// putManifest stores a manifest or an index: PutManifest. That a digest in the
// path is the body's is not checked.
func (c *call) putManifest() {
	tagged := !isDigest(c.param)
	if tagged && !tagPattern.MatchString(c.param) {
		c.fail(*errManifestInvalid.with(http.StatusBadRequest, "Tag is invalid"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(c.req.Body, maxManifest+1))
	if err != nil {
		c.fail(errServer)
		return
	}
	if len(body) > maxManifest {
		c.fail(*errManifestInvalid.with(http.StatusRequestEntityTooLarge, "Manifest exceeds maximum size"))
		return
	}
	if c.config().OCIOnly && strings.HasPrefix(c.req.Header.Get("Content-Type"), "application/vnd.docker.") {
		c.fail(*errManifestInvalid.with(http.StatusUnsupportedMediaType, ""))
		return
	}
	m, fault := parseManifest(c.req.Header.Get("Content-Type"), body)
	if fault == nil && !tagged && c.distribution() && m.content.digest != c.param {
		fault = &errDigestInvalid
	}
	if fault == nil {
		fault = c.storeManifest(m, tagged)
	}
	if fault != nil {
		c.fail(*fault)
		return
	}
	c.begin(http.StatusCreated, headers{location: c.location("manifests", c.param), digest: m.content.digest})
}

// manifest is what a body amounts to.
type manifest struct {
	content   *content
	mediaType string
	index     bool
	config    ocispec.Descriptor
	layers    []ocispec.Descriptor
	manifests []ocispec.Descriptor
}

// parseManifest is manifest.go, processManifest. Only the first JSON value of
// the body counts, and what does not decode is a failure of the server.
func parseManifest(mediaType string, body []byte) (manifest, *wireError) {
	var doc struct {
		SchemaVersion int                  `json:"schemaVersion"`
		MediaType     string               `json:"mediaType"`
		Config        ocispec.Descriptor   `json:"config"`
		Layers        []ocispec.Descriptor `json:"layers"`
		Manifests     []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&doc); err != nil {
		return manifest{}, &errServer
	}
	if doc.SchemaVersion != 2 {
		return manifest{}, errUnsupported.with(http.StatusNotImplemented, "Schema version is not supported")
	}
	if !knownMediaType(mediaType) {
		mediaType = doc.MediaType
	}
	if !knownMediaType(mediaType) {
		return manifest{}, errManifestInvalid.with(http.StatusBadRequest, "MediaType not recognized")
	}
	spool := (&store{}).newSpool()
	_, _ = spool.Write(body)
	m := manifest{content: spool.content(), mediaType: mediaType}
	switch {
	case isManifestType(mediaType):
		m.config, m.layers = doc.Config, doc.Layers
	case strings.EqualFold(mediaType, ocispec.MediaTypeImageIndex), strings.EqualFold(mediaType, mediaTypeDockerList):
		m.index, m.manifests = true, doc.Manifests
	default:
		return manifest{}, &errManifestInvalid
	}
	return m, nil
}

// modules/packages/container/metadata.go, IsMediaTypeValid.
func knownMediaType(mediaType string) bool {
	return strings.HasPrefix(mediaType, "application/vnd.docker.") || strings.HasPrefix(mediaType, "application/vnd.oci.")
}

func isManifestType(mediaType string) bool {
	return strings.EqualFold(mediaType, ocispec.MediaTypeImageManifest) || strings.EqualFold(mediaType, mediaTypeDockerManifest)
}

// storeManifest keeps a manifest whose parts are all in the repository.
func (c *call) storeManifest(m manifest, tagged bool) *wireError {
	c.reg.store.mu.Lock()
	defer c.reg.store.mu.Unlock()
	repo := c.reg.store.repositories[c.repository()]
	blobs, fault := repo.resolve(m, c.distribution())
	if fault == nil && !m.index && m.config.Digest == "" && c.forgejo() {
		fault = &errServer // it takes some blob for the config
	}
	if fault != nil && c.distribution() {
		return errManifestBlobUnknown.with(http.StatusBadRequest, "blob unknown to registry")
	}
	if fault != nil {
		return fault
	}
	reference := c.normalReference()
	if c.overCountQuota(reference) {
		return &errForbidden
	}
	v := version{reference: reference, tagged: tagged, manifest: file{content: m.content, mediaType: m.mediaType}}
	if c.distribution() {
		// Blobs and manifests stay in the repository whatever its tags become.
		repo = c.reg.store.open(c.repository(), c.owner)
		repo.set(version{reference: m.content.digest, manifest: v.manifest})
		repo.set(v)
		return nil
	}
	for i, d := range m.blobs() {
		if blobs[i].size != d.Size {
			return &errSizeInvalid
		}
	}
	repo = c.reg.store.open(c.repository(), c.owner)
	repo.uploads = slices.DeleteFunc(repo.uploads, func(f file) bool {
		return slices.ContainsFunc(blobs, func(b file) bool { return b.digest == f.digest })
	})
	v.blobs = unique(blobs)
	repo.set(v)
	return nil
}

// set makes a version the only one of its reference.
func (r *repository) set(v version) {
	r.versions = slices.DeleteFunc(r.versions, func(old *version) bool { return old.reference == v.reference })
	r.versions = append(r.versions, &v)
}

// blobs are the descriptors of blobs, as opposed to manifests.
func (m manifest) blobs() []ocispec.Descriptor {
	if m.index {
		return nil
	}
	return append([]ocispec.Descriptor{m.config}, m.layers...)
}

// resolve finds what a manifest names: manifest.go, processOciImageManifest and
// processOciImageIndex. Nested says that an index may name others.
func (r *repository) resolve(m manifest, nested bool) ([]file, *wireError) {
	var blobs []file
	for _, d := range m.blobs() {
		f, ok := r.blob(d.Digest.String())
		if !ok {
			return nil, &errBlobUnknown
		}
		f.mediaType = d.MediaType
		blobs = append(blobs, f)
	}
	if !m.index && strings.EqualFold(m.config.MediaType, mediaTypeHelmConfig) && !json.Valid(blobs[0].data) {
		return nil, &errServer
	}
	for _, d := range m.manifests {
		if !nested && !isManifestType(d.MediaType) {
			return nil, &errManifestInvalid
		}
		if r.version(d.Digest.String()) == nil {
			return nil, &errManifestBlobUnknown
		}
	}
	return blobs, nil
}

// unique leaves each blob in once: a manifest may name a layer several times.
func unique(files []file) []file {
	var once []file
	for _, f := range files {
		if !slices.ContainsFunc(once, func(o file) bool { return o.digest == f.digest }) {
			once = append(once, f)
		}
	}
	return once
}
