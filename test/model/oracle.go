package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// want is what a tag has to lead to after a push, by the bytes of the source and
// the options alone.
type want interface {
	// check reads all that a tag of a repository leads to and compares every
	// byte. It returns the digest that the tag has to have.
	check(h *host, repository, tag string) (digest string, err error)
	String() string
}

// kept is a document that arrives as the source has it, with all below it unless it
// is alone.
type kept struct {
	*document

	alone bool
}

func (k kept) String() string { return k.digest }

func (k kept) check(h *host, repository, tag string) (string, error) {
	if !k.alone { // such a one was there before
		k.document = k.fitting(h)
	}
	data, mediaType, found := h.manifest(repository, tag)
	switch {
	case !found:
		return "", fmt.Errorf("the tag %s is not there", tag)
	case !bytes.Equal(data, k.data):
		return "", fmt.Errorf("the tag %s is %s, want %s", tag, newBlob(data).digest, k.digest)
	case mediaType != k.mediaType:
		return "", fmt.Errorf("the tag %s is a %s, want %s", tag, mediaType, k.mediaType)
	case k.alone:
		return k.digest, nil
	}
	return k.digest, k.below(h, repository)
}

// below compares what a document names, wherever in it.
func (k kept) below(h *host, repository string) error {
	for _, child := range k.children {
		data, _, found := h.manifest(repository, child.digest)
		if !found || !bytes.Equal(data, child.data) {
			return fmt.Errorf("the manifest %s in %s is not whole (there: %t)", child.digest, k.digest, found)
		}
		if err := (kept{document: child}).below(h, repository); err != nil {
			return err
		}
	}
	for _, b := range k.blobs {
		if err := h.holds(repository, b); err != nil {
			return err
		}
	}
	return nil
}

// remade is an image of raw layers, for which a manifest is made.
type remade struct {
	*member
	compression compression
}

func (r remade) String() string {
	return fmt.Sprintf("an image of %s with layers in %q", r.config.digest, r.compression.algorithm())
}

// forms are what a layer may have become: always what this project makes of it.
// Who asks for gzip at no level may get what the daemon makes, which compresses
// while it pushes, or what a builder made that the registry has already: they
// are the same layer.
func (c compression) forms(raw blob) []blob {
	forms := []blob{c.compressed(raw)}
	if c.isDefault() {
		forms = append(forms, dockerGzip(raw), builderGzip(raw))
	}
	return forms
}

func (r remade) check(h *host, repository, tag string) (string, error) {
	data, mediaType, found := h.manifest(repository, tag)
	if !found {
		return "", fmt.Errorf("the tag %s is not there", tag)
	}
	var named manifest
	if err := json.Unmarshal(data, &named); err != nil {
		return "", fmt.Errorf("the tag %s is %q: %w", tag, data, err)
	}
	if named.Config.Digest != r.config.digest || len(named.Layers) != len(r.layers) {
		return "", fmt.Errorf("the tag %s has the config %s and %d layers, want %s and %d:\n%s", tag, named.Config.Digest, len(named.Layers), r.config.digest, len(r.layers), data)
	}
	var layers []blob
	for i, l := range r.layers {
		forms := r.compression.forms(l.raw)
		j := slices.IndexFunc(forms, func(b blob) bool { return b.digest == named.Layers[i].Digest })
		if j < 0 {
			return "", fmt.Errorf("layer %d of the tag %s is %s, want %s in %q:\n%s", i, tag, named.Layers[i].Digest, l.raw.digest, r.compression, data)
		}
		layers = append(layers, forms[j])
	}
	wanted := r.manifests(h, layers)
	if !slices.ContainsFunc(wanted, func(m []byte) bool { return bytes.Equal(m, data) }) {
		return "", fmt.Errorf("the tag %s is\n%s\nwant\n%s", tag, data, wanted[0])
	}
	if mediaType != r.mediaType(h) {
		return "", fmt.Errorf("the tag %s is a %s, want %s", tag, mediaType, r.mediaType(h))
	}
	for _, b := range append(layers, r.config) {
		if err := h.holds(repository, b); err != nil {
			return "", err
		}
	}
	return newBlob(data).digest, nil
}

// mediaType is Docker's as long as all layers are gzip, which everybody takes
// but registries for OCI's alone.
func (r remade) mediaType(h *host) string {
	if r.compression.algorithm() == "gzip" && !h.ociOnly {
		return dockerManifest
	}
	return ociManifest
}

// manifests are the ways to write the manifest: this project's, and dockerd's
// for what that may have pushed by itself.
func (r remade) manifests(h *host, layers []blob) [][]byte {
	config, layer := dockerConfig, dockerLayer
	if r.mediaType(h) == ociManifest {
		config, layer = ociConfig, ociLayer+map[string]string{"gzip": "+gzip", "zstd": "+zstd"}[r.compression.algorithm()]
	}
	own := `{"schemaVersion":2,"mediaType":"` + r.mediaType(h) + `","config":` + inOrder(config, r.config) + `,"layers":[`
	var list []string
	for _, b := range layers {
		list = append(list, inOrder(layer, b))
	}
	own += strings.Join(list, ",") + "]}"
	if !r.compression.isDefault() || h.ociOnly {
		return [][]byte{[]byte(own)}
	}
	return [][]byte{[]byte(own), dockerdManifest(r.config, layers)}
}

// inOrder is a descriptor as the image specification's Go types write it.
func inOrder(mediaType string, b blob) string {
	return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, mediaType, b.digest, len(b.data))
}

// dockerdManifest is one as dockerd writes it (distribution, manifest/schema2).
func dockerdManifest(config blob, layers []blob) []byte {
	type sized struct {
		MediaType string `json:"mediaType"`
		Size      int    `json:"size"`
		Digest    string `json:"digest"`
	}
	list := []sized{}
	for _, b := range layers {
		list = append(list, sized{dockerLayer, len(b.data), b.digest})
	}
	data, err := json.MarshalIndent(struct {
		SchemaVersion int     `json:"schemaVersion"`
		MediaType     string  `json:"mediaType"`
		Config        sized   `json:"config"`
		Layers        []sized `json:"layers"`
	}{2, dockerManifest, sized{dockerConfig, len(config.data), config.digest}, list}, "", "   ")
	must(err)
	return data
}

// expectation is how a push may end.
type expectation struct {
	// wants are the images that may arrive; without any it has to be refused.
	wants []want
	// mayFail: something was done to it that can keep it from ending well.
	mayFail bool
	// along is what has to arrive beside the image.
	along []along
}

func (e *expectation) add(more expectation) {
	e.wants, e.along = append(e.wants, more.wants...), append(e.along, more.along...)
	e.mayFail = e.mayFail || more.mayFail || len(more.wants) == 0
}

// asKept is what arrives of a layout when only held is there.
func asKept(p *picture, held []*member, a asked) expectation {
	if a.noAttestations && a.platform == "" {
		p = p.withoutAttestations()
	}
	var documents []*document
	for _, m := range held {
		if m.platform == a.platform {
			documents = append(documents, m.document)
		}
	}
	switch {
	case a.platform != "":
	case len(held) == len(p.members):
		documents = append(documents, p.root)
	case len(held) == 1: // as of docker push: the image in place of the index
		documents = append(documents, held[0].document)
	}
	var e expectation
	for _, d := range documents {
		if a.force {
			e.wants = append(e.wants, recompressed{d, p.members, a.compression})
		} else {
			e.wants = append(e.wants, kept{document: d})
		}
	}
	return e
}

// asRaw is what arrives of raw layers.
func asRaw(p *picture, a asked) expectation {
	if m := p.members[0]; a.platform == "" || a.platform == m.platform {
		return expectation{wants: []want{remade{m, a.compression}}}
	}
	return expectation{}
}
