package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// asked is what a push asks for of its image.
type asked struct {
	platform    string
	compression compression
	// force wants the compression of layers that have another, too.
	force          bool
	noAttestations bool
}

// withoutAttestations is a picture whose index names images alone; where it named one,
// that is left of it.
func (p *picture) withoutAttestations() *picture {
	entries := p.root.entries()
	other := index{SchemaVersion: 2, MediaType: p.root.mediaType}
	root := &document{mediaType: p.root.mediaType}
	for i, entry := range entries {
		if !attests(entry) {
			other.Manifests, root.children = append(other.Manifests, entry), append(root.children, p.root.children[i])
		}
	}
	switch len(root.children) {
	case len(entries):
		return p
	case 1:
		root = root.children[0]
	default:
		root.blob = newBlob(encode(other))
	}
	return &picture{name: p.name, root: root, members: p.members}
}

// layerTypes are the media types of layers by what compressed them, in OCI's words and
// in Docker's.
var (
	layerTypes       = map[string]string{"gzip": ociLayer + "+gzip", "zstd": ociLayer + "+zstd", "none": ociLayer}
	dockerLayerTypes = map[string]string{"gzip": dockerLayer, "none": dockerRawLayer}
)

// algorithmOf is what compressed a layer; empty for what is no layer.
func algorithmOf(d descriptor) string {
	for _, types := range []map[string]string{layerTypes, dockerLayerTypes} {
		for algorithm, mediaType := range types {
			if mediaType == d.MediaType {
				return algorithm
			}
		}
	}
	return ""
}

// recompressed is an image whose layers all get one compression.
type recompressed struct {
	*document
	members     []*member
	compression compression
}

func (r recompressed) String() string {
	return fmt.Sprintf("%s with all layers in %q", r.digest, r.compression.algorithm())
}

func (r recompressed) check(h *host, repository, tag string) (string, error) {
	data, _, found := h.manifest(repository, tag)
	if !found {
		return "", fmt.Errorf("the tag %s is not there", tag)
	}
	wanted, err := r.anew(h, repository, r.document, data)
	if err != nil {
		return "", fmt.Errorf("the tag %s is not %s: %w", tag, r, err)
	}
	return kept{document: wanted}.check(h, repository, tag)
}

// anew is what a document becomes. Which of the forms of a layer that is, got tells,
// which is what the registry has in its place.
func (r recompressed) anew(h *host, repository string, d *document, got []byte) (*document, error) {
	if len(d.children) > 0 {
		return r.index(h, repository, d, got)
	}
	var wanted, present manifest
	must(json.Unmarshal(d.data, &wanted))
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.document.digest == d.digest })
	if i < 0 || wanted.Config.MediaType != ociConfig && wanted.Config.MediaType != dockerConfig {
		return d, nil // no image, but what is said of one
	}
	if err := json.Unmarshal(got, &present); err != nil {
		return nil, err
	}
	if len(present.Layers) != len(wanted.Layers) || len(r.members[i].layers) != len(wanted.Layers) {
		return nil, fmt.Errorf("%s has other layers", got)
	}
	other := &document{mediaType: d.mediaType, blobs: []blob{{digest: wanted.Config.Digest}}}
	changed := false
	for n, l := range r.members[i].layers {
		if algorithmOf(wanted.Layers[n]) != r.compression.algorithm() {
			forms := r.compression.forms(l.raw)
			j := slices.IndexFunc(forms, func(b blob) bool { return b.digest == present.Layers[n].Digest })
			if j < 0 {
				return nil, fmt.Errorf("layer %d is %s, want %s in %q", n, present.Layers[n].Digest, l.raw.digest, r.compression)
			}
			wanted.Layers[n], changed = describe(layerTypes[r.compression.algorithm()], forms[j]), true
		}
		other.blobs = append(other.blobs, blob{digest: wanted.Layers[n].Digest})
	}
	if !changed {
		return d, nil
	}
	r.name(&wanted)
	other.mediaType, other.blob = wanted.MediaType, newBlob(encode(wanted))
	return other, nil
}

// name gives the layers of Docker's manifests Docker's types. For zstd there is none,
// and the manifest becomes OCI's.
func (r recompressed) name(m *manifest) {
	if m.MediaType != dockerManifest {
		return
	}
	types := dockerLayerTypes
	if r.compression.algorithm() == "zstd" {
		types = layerTypes
		m.MediaType, m.Config.MediaType = ociManifest, ociConfig
	}
	for i, d := range m.Layers {
		m.Layers[i].MediaType = types[algorithmOf(d)]
	}
}

// index names what the images became, also as what attestations are of.
func (r recompressed) index(h *host, repository string, d *document, got []byte) (*document, error) {
	var wanted, present index
	must(json.Unmarshal(d.data, &wanted))
	if err := json.Unmarshal(got, &present); err != nil {
		return nil, err
	}
	if len(present.Manifests) != len(wanted.Manifests) {
		return nil, fmt.Errorf("%s names other manifests", got)
	}
	other := &document{mediaType: d.mediaType}
	became := map[string]string{}
	for i, entry := range wanted.Manifests {
		data, _, found := h.manifest(repository, present.Manifests[i].Digest)
		if !found {
			return nil, fmt.Errorf("%s of the index is not there", present.Manifests[i].Digest)
		}
		child, err := r.anew(h, repository, d.children[i], data)
		if err != nil {
			return nil, err
		}
		if child != d.children[i] {
			became[entry.Digest] = child.digest
		}
		other.children = append(other.children, child)
		e := &wanted.Manifests[i]
		e.MediaType, e.Digest, e.Size = child.mediaType, child.digest, len(child.data)
		if child.mediaType == ociManifest && wanted.MediaType == dockerList {
			wanted.MediaType, other.mediaType = ociIndex, ociIndex
		}
	}
	if len(became) == 0 {
		return d, nil
	}
	for _, entry := range wanted.Manifests {
		if image := became[entry.Annotations["vnd.docker.reference.digest"]]; image != "" {
			entry.Annotations["vnd.docker.reference.digest"] = image
		}
	}
	other.blob = newBlob(encode(wanted))
	return other, nil
}

// ociTypes are those that OCI has in the place of Docker's.
var ociTypes = map[string]string{
	dockerManifest: ociManifest, dockerList: ociIndex, dockerConfig: ociConfig, dockerRawLayer: ociLayer, dockerLayer: ociLayer + "+gzip",
}

// fitting is a document as a registry gets it that refuses Docker's media types.
func (d *document) fitting(h *host) *document {
	if !h.ociOnly {
		return d
	}
	other := &document{mediaType: d.mediaType, blobs: d.blobs}
	if t := ociTypes[d.mediaType]; t != "" {
		other.mediaType = t
	}
	changed := other.mediaType != d.mediaType
	for _, child := range d.children {
		fits := child.fitting(h)
		changed = changed || fits != child
		other.children = append(other.children, fits)
	}
	switch {
	case !changed:
		return d
	case len(d.children) > 0:
		var named index
		must(json.Unmarshal(d.data, &named))
		named.MediaType = other.mediaType
		for i, child := range other.children {
			e := &named.Manifests[i]
			e.MediaType, e.Digest, e.Size = child.mediaType, child.digest, len(child.data)
		}
		other.blob = newBlob(encode(named))
	default:
		var named manifest
		must(json.Unmarshal(d.data, &named))
		named.MediaType, named.Config.MediaType = other.mediaType, ociTypes[named.Config.MediaType]
		for i, l := range named.Layers {
			named.Layers[i].MediaType = ociTypes[l.MediaType]
		}
		other.blob = newBlob(encode(named))
	}
	return other
}

// sortedKeys are those of a map.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
