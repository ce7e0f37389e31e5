package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// remote is an image of a registry as a source: tag n of those in a repository, or
// what that leads to by its digest.
type remote struct {
	host, repo, n int
	byDigest      bool
	// name is the tag, if it is always the same.
	name string
	// version is the tag or the digest, once somebody has looked.
	version string
}

func (r remote) String() string {
	text := fmt.Sprintf("tag %d of host %d, repository %d", r.n, r.host, r.repo)
	if r.name != "" {
		text = fmt.Sprintf("tag %s of host %d, repository %d", r.name, r.host, r.repo)
	}
	if r.byDigest {
		text += ", by its digest"
	}
	if r.version != "" {
		text += fmt.Sprintf(" (%s)", r.version)
	}
	return text
}

// resolved looks which tag that is by now. A repository without tags has none that
// is called "1" either.
func (r remote) resolved(w *world) remote {
	h := w.hosts[r.host]
	repository := h.repositories[r.repo]
	tags := h.tags(repository)
	all := slices.DeleteFunc(sortedKeys(tags), isOfReferrers)
	r.version = cmp.Or(r.name, "1")
	if r.name == "" && len(all) > 0 {
		r.version = all[r.n%len(all)]
	}
	if r.byDigest && tags[r.version] != "" {
		r.version = tags[r.version]
	}
	return r
}

// argument is how a command line names it.
func (r remote) argument(w *world) string {
	h := w.hosts[r.host]
	separator := map[bool]string{true: "@", false: ":"}[strings.Contains(r.version, ":")]
	return h.address() + "/" + h.repositories[r.repo] + separator + r.version
}

// isOfReferrers reports a tag that is made of a digest.
func isOfReferrers(tag string) bool { return strings.HasPrefix(tag, "sha256-") }

// referrersTag is the tag under which clients list what refers to a manifest (OCI
// distribution specification, "Referrers Tag Schema"). cosign adds ".sig".
func referrersTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

const signatureSuffix = ".sig"

// document reads a manifest and all below it; nil where one of them is not there.
func (h *host) document(repository, reference string) *document {
	data, mediaType, found := h.manifest(repository, reference)
	if !found {
		return nil
	}
	d := &document{blob: newBlob(data), mediaType: mediaType}
	var named struct {
		manifest
		Manifests []descriptor `json:"manifests"`
	}
	must(json.Unmarshal(data, &named))
	for _, entry := range named.Manifests {
		child := h.document(repository, entry.Digest)
		if child == nil {
			return nil
		}
		d.children = append(d.children, child)
	}
	if named.Config.Digest != "" {
		for _, b := range append(named.Layers, named.Config) {
			d.blobs = append(d.blobs, blob{digest: b.Digest})
		}
	}
	return d
}

// picture reads an image of a registry, as far as it is needed to tell what becomes of
// it; nil where a manifest of it is not there.
func (h *host) picture(repository, reference string) *picture {
	root := h.document(repository, reference)
	if root == nil {
		return nil
	}
	p := &picture{name: reference, root: root}
	if len(root.children) == 0 {
		p.members = []*member{h.member(repository, root, descriptor{})}
	}
	for i, entry := range root.entries() {
		if !attests(entry) {
			p.members = append(p.members, h.member(repository, root.children[i], entry))
		}
	}
	return p
}

// entries are the descriptors in an index.
func (d *document) entries() []descriptor {
	var named index
	must(json.Unmarshal(d.data, &named))
	return named.Manifests
}

// attests reports what BuildKit puts into an index beside an image.
func attests(entry descriptor) bool {
	return entry.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
}

// member reads an image; entry is what an index says of it. Without its config it has
// no layers, and maybe no platform.
func (h *host) member(repository string, d *document, entry descriptor) *member {
	var named manifest
	must(json.Unmarshal(d.data, &named))
	m := &member{document: d, config: blob{digest: named.Config.Digest}}
	var config struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		RootFS       struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if data, _, found := h.get("/v2/" + repository + "/blobs/" + named.Config.Digest); found {
		m.config.data = data
		must(json.Unmarshal(data, &config))
	}
	m.platform = config.OS + "/" + config.Architecture
	if entry.Platform != nil {
		m.platform = entry.Platform["os"] + "/" + entry.Platform["architecture"]
	}
	for i, id := range config.RootFS.DiffIDs {
		if i < len(named.Layers) {
			m.layers = append(m.layers, &layer{raw: rawLayers()[id], stored: blob{digest: named.Layers[i].Digest}})
		}
	}
	return m
}

// rawLayers are those of all pictures, by their diff IDs.
var rawLayers = sync.OnceValue(func() map[string]blob {
	all := map[string]blob{}
	for _, content := range contents {
		raw := newBlob(tarOf("file", content))
		all[raw.digest] = raw
	}
	return all
})

// sign has another client sign what a tag leads to: with a manifest that refers to
// it, or as cosign does, with a tag.
func (h *host) sign(repository, tag, by string, asTag bool) {
	data, mediaType, found := h.manifest(repository, tag)
	if !found {
		return
	}
	subject := describe(mediaType, newBlob(data))
	config, said := newBlob([]byte("{}")), newBlob([]byte("signed by "+by))
	artifact := map[string]any{
		"schemaVersion": 2, "mediaType": ociManifest, "artifactType": "application/vnd.example.signature",
		"config": describe("application/vnd.oci.empty.v1+json", config), "layers": []descriptor{describe("application/vnd.example.signature", said)},
	}
	if !asTag {
		artifact["subject"] = subject
	}
	d := &document{blob: newBlob(encode(artifact)), mediaType: ociManifest, blobs: []blob{config, said}}
	if asTag {
		h.put(repository, referrersTag(subject.Digest)+signatureSuffix, d)
		return
	}
	h.put(repository, d.digest, d)
	list := index{SchemaVersion: 2, MediaType: ociIndex}
	for _, known := range h.referring(repository, subject.Digest) {
		if _, _, found := h.manifest(repository, known.Digest); found && known.Digest != d.digest {
			list.Manifests = append(list.Manifests, known)
		}
	}
	list.Manifests = append(list.Manifests, describe(ociManifest, d.blob))
	h.put(repository, referrersTag(subject.Digest), &document{blob: newBlob(encode(list)), mediaType: ociIndex})
}

// referring is the list of what refers to a manifest.
func (h *host) referring(repository, subject string) []descriptor {
	data, _, found := h.manifest(repository, referrersTag(subject))
	if !found {
		return nil
	}
	return (&document{blob: blob{data: data}}).entries()
}

// along is what a copy brings along with an image: what refers to a manifest of it,
// or the tag that cosign made of its digest.
type along struct {
	// image is the digest of the image as a whole, if it arrives as it is.
	image string
	// subject is what lists the document, unless a tag leads to that.
	subject, tag string
	*document
}

// alongWith is what refers to an image of a repository, and to that in turn.
func (h *host) alongWith(repository string, root *document) (all []along, whole bool) {
	whole = true
	subjects := []string{root.digest}
	for _, child := range root.children {
		subjects = append(subjects, child.digest)
	}
	for i := 0; i < len(subjects); i++ {
		for _, entry := range h.referring(repository, subjects[i]) {
			if d := h.document(repository, entry.Digest); d != nil && !slices.Contains(subjects, d.digest) {
				all = append(all, along{image: root.digest, subject: subjects[i], document: d})
				subjects = append(subjects, d.digest)
				whole = whole && !h.parts(repository, d.digest).broken
			}
		}
	}
	for _, subject := range subjects[:1+len(root.children)] {
		tag := referrersTag(subject) + signatureSuffix
		if d := h.document(repository, tag); d != nil {
			all = append(all, along{image: root.digest, tag: tag, document: d})
			whole = whole && !h.parts(repository, tag).broken
		}
	}
	return all, whole
}

// check compares what came along with an image with what had to.
func (a along) check(h *host, repository string) error {
	reference := cmp.Or(a.tag, a.digest)
	if _, err := (kept{document: a.document}).check(h, repository, reference); err != nil {
		return fmt.Errorf("what refers to the image has not come along: %w", err)
	}
	if a.tag == "" && !slices.ContainsFunc(h.referring(repository, a.subject), func(d descriptor) bool { return d.Digest == a.digest }) {
		return fmt.Errorf("the manifest %s is not in the list of what refers to %s", a.digest, a.subject)
	}
	return nil
}

// expectedOfRegistry is what arrives of an image of a registry, or of several that
// become one.
func (s source) expectedOfRegistry(w *world, a asked) expectation {
	if s.via == viaJoin {
		return s.expectedOfJoin(w, a)
	}
	from := s.remotes[0]
	h := w.hosts[from.host]
	repository := h.repositories[from.repo]
	if s.via == viaTag {
		data, mediaType, found := h.manifest(repository, from.version)
		if !found {
			return expectation{}
		}
		root := &document{blob: newBlob(data), mediaType: mediaType}
		return expectation{wants: []want{kept{document: root, alone: true}}, mayFail: h.parts(repository, from.version).broken}
	}
	p := h.picture(repository, from.version)
	if p == nil {
		return expectation{}
	}
	e := asKept(p, p.members, a)
	e.mayFail = h.parts(repository, from.version).broken
	if s.followed && !s.asTags && len(e.wants) > 0 {
		var whole bool
		e.along, whole = h.alongWith(repository, rootOf(e.wants[0]))
		e.mayFail = e.mayFail || !whole
	}
	return e
}

// rootOf is the image of a registry that is wanted as it is, or in another form.
func rootOf(wanted want) *document {
	if r, is := wanted.(recompressed); is {
		return r.document
	}
	return wanted.(kept).document
}

// expectedOfJoin is the index of all images that the sources lead to.
func (s source) expectedOfJoin(w *world, a asked) expectation {
	root := &document{}
	named := index{SchemaVersion: 2, MediaType: dockerList}
	mayFail := false
	platforms := map[string]bool{}
	for _, r := range s.remotes {
		h := w.hosts[r.host]
		p := h.picture(h.repositories[r.repo], r.version)
		if p == nil {
			return expectation{}
		}
		mayFail = mayFail || h.parts(h.repositories[r.repo], r.version).broken
		for _, e := range p.joins() {
			if a.noAttestations && attests(e.descriptor) || slices.ContainsFunc(root.children, func(d *document) bool { return d.digest == e.Digest }) {
				continue
			}
			platform := platformName(e.descriptor)
			if platform == "/" || !attests(e.descriptor) && platforms[platform] {
				return expectation{}
			}
			if !attests(e.descriptor) {
				platforms[platform] = true
			}
			if e.MediaType != dockerManifest {
				named.MediaType = ociIndex
			}
			named.Manifests, root.children = append(named.Manifests, e.descriptor), append(root.children, e.document)
		}
	}
	if len(platforms) == 0 {
		return expectation{}
	}
	slices.SortFunc(named.Manifests, func(a, b descriptor) int {
		rank := func(d descriptor) int { return map[bool]int{true: 1}[attests(d)] }
		return cmp.Or(rank(a)-rank(b), strings.Compare(platformName(a), platformName(b)), strings.Compare(a.Digest, b.Digest))
	})
	slices.SortFunc(root.children, func(a, b *document) int { return named.position(a) - named.position(b) })
	root.blob, root.mediaType = newBlob(encode(named)), named.MediaType
	return expectation{wants: []want{kept{document: root}}, mayFail: mayFail}
}

func (i index) position(d *document) int {
	return slices.IndexFunc(i.Manifests, func(entry descriptor) bool { return entry.Digest == d.digest })
}

// joint is an entry of an index that is made of images.
type joint struct {
	descriptor
	document *document
}

// joins are the entries that a picture gives.
func (p *picture) joins() (all []joint) {
	if len(p.root.children) == 0 {
		entry := describe(p.root.mediaType, p.root.blob)
		system, architecture, _ := strings.Cut(p.members[0].platform, "/")
		entry.Platform = map[string]string{"os": system, "architecture": architecture}
		return []joint{{entry, p.root}}
	}
	for i, entry := range p.root.entries() {
		all = append(all, joint{entry, p.root.children[i]})
	}
	return all
}

func platformName(d descriptor) string { return d.Platform["os"] + "/" + d.Platform["architecture"] }

// put puts a document by a reference, after its blobs.
func (h *host) put(repository, reference string, d *document) {
	send := func(method, path, contentType string, data []byte) string {
		got := h.ask(method, path, contentType, data)
		if got.status >= http.StatusBadRequest {
			panic(fmt.Sprintf("%s %s: %d: %s", method, path, got.status, got.body))
		}
		return got.header.Get("Location")
	}
	for _, b := range d.blobs {
		location := send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/", "", nil)
		location = strings.TrimPrefix(location, h.server.URL)
		separator := map[bool]string{true: "&", false: "?"}[strings.Contains(location, "?")]
		send(http.MethodPut, location+separator+"digest="+b.digest, "application/octet-stream", b.data)
	}
	send(http.MethodPut, "/v2/"+repository+"/manifests/"+reference, d.mediaType, d.data)
}
