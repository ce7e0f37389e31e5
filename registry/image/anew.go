package image

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// anew are the layers of an image that the registry gets in another form than the
// source has them, and with them the manifests that name them.
type anew struct {
	form Compression
	// layers are they, by the digest that their manifests give.
	layers map[digest.Digest]*part
	// attested: an attestation names the image by its digest, in a statement that
	// nobody but its maker may change.
	attested bool
}

// force plans to send every layer in one form. What is no layer to each manifest that
// names it stays as it is, and so does what the source lacks.
func (p *plan) force(t *tree, form Compression) error {
	a := &anew{form: form, layers: map[digest.Digest]*part{}}
	fixed := map[digest.Digest]bool{}
	for _, m := range append(p.children, p.root) {
		n := t.nodes[m.Descriptor.Digest]
		diffIDs, err := t.diffIDs(n)
		if err != nil {
			return err
		}
		a.attested = a.attested || slices.ContainsFunc(n.body.Manifests, func(d ocispec.Descriptor) bool { return attests(d, nil) })
		for i, desc := range n.needs() {
			part := t.blobs[desc.Digest]
			if i == 0 || i > len(diffIDs) || part == nil || algorithmOf(desc) == "" {
				fixed[desc.Digest] = true
				continue
			}
			if algorithmOf(desc) != form.algorithm() {
				part.raw = diffIDs[i-1]
				a.layers[desc.Digest] = part
			}
		}
	}
	maps.DeleteFunc(a.layers, func(d digest.Digest, _ *part) bool { return fixed[d] })
	for _, part := range a.layers {
		part.anew, part.compress = true, true
	}
	if len(a.layers) > 0 {
		p.anew = a
	}
	return nil
}

// diffIDs are those of the layers of an image; nil for what is none: an artifact, an
// attestation, an index.
func (t *tree) diffIDs(n *node) ([]digest.Digest, error) {
	if n.body.Config == nil || n.body.Config.MediaType != ocispec.MediaTypeImageConfig && n.body.Config.MediaType != mediaTypeDockerConfig {
		return nil, nil
	}
	name, err := blobName(n.body.Config.Digest, n.name())
	if err != nil {
		return nil, err
	}
	data, err := document(t.contents, name)
	if err != nil {
		return nil, configFault(name, err)
	}
	if got := n.body.Config.Digest.Algorithm().FromBytes(data); got != n.body.Config.Digest {
		return nil, fault(ErrDigest, name, "its digest is %s", got)
	}
	c, err := parseConfig(name, data)
	if err != nil || len(c.RootFS.DiffIDs) != len(n.body.Layers) {
		return nil, err
	}
	return c.RootFS.DiffIDs, nil
}

// unpacked is a layer without its compression, whichever that is.
func unpacked(stored func() (io.ReadCloser, error), name, source string) (io.ReadCloser, error) {
	r, err := stored()
	if err != nil {
		return nil, err
	}
	head := bufio.NewReaderSize(r, 64<<10)
	first, err := head.Peek(headSize)
	if err == nil || errors.Is(err, io.EOF) {
		var z io.ReadCloser
		if z, err = decompress(detect(first), head); err == nil {
			return decoded{z, r}, nil
		}
		err = named(fault(ErrDigest, name, "is damaged, it cannot be decompressed").because(err), source)
	}
	return nil, errors.Join(err, r.Close())
}

// image puts the manifests into the place of those that the source has.
func (a *anew) image(image *Image, sent map[string]Sent) error {
	became := map[digest.Digest]ocispec.Descriptor{}
	all := append(slices.Clip(image.Children), image.Root)
	// An attestation refers to its image, and an index to both.
	for _, change := range []func(Manifest) (any, error){
		func(m Manifest) (any, error) { return a.manifest(m, sent) },
		func(m Manifest) (any, error) { return refer(m, became) },
		func(m Manifest) (any, error) { return reindex(m, became) },
	} {
		for i, m := range all {
			other, err := change(m)
			if err == nil && other != nil {
				all[i], err = made(other)
				all[i].Descriptor.Platform = m.Descriptor.Platform
				became[m.Descriptor.Digest] = all[i].Descriptor
			}
			if err != nil {
				return err
			}
		}
	}
	notice := a.notice(image.Root, all[len(all)-1])
	image.Children, image.Root = all[:len(all)-1], all[len(all)-1]
	image.Notices = append(slices.Clone(image.Notices), notice)
	return nil
}

// made is a document that we write, as a manifest.
func made(document any) (Manifest, error) {
	data, err := encode(document)
	if err != nil {
		return Manifest{}, err
	}
	return ParseManifest("", data)
}

// notice says what became of the image.
func (a *anew) notice(from, to Manifest) string {
	form := "compressed with " + a.form.algorithm()
	if a.form.algorithm() == None {
		form = "not compressed"
	}
	notice := fmt.Sprintf("the image %s is pushed as %s: %d of its layers are %s now", from.Descriptor.Digest, to.Descriptor.Digest, len(a.layers), form)
	if a.attested {
		notice += "; its attestations state the old digest (--no-attestations leaves them out)"
	}
	return notice
}

// reads reports that a manifest is a document of that kind: one of another is none
// that is made anew.
func reads(m Manifest, document any) bool { return json.Unmarshal(m.Data, document) == nil }

// manifest is that of an image with its layers as they were sent, where one of them
// has another form now.
func (a *anew) manifest(m Manifest, sent map[string]Sent) (any, error) {
	var other ocispec.Manifest
	if IsIndex(m.Descriptor.MediaType) || !reads(m, &other) {
		return nil, nil // of another kind, and no image
	}
	changed := false
	for i, desc := range other.Layers {
		part := a.layers[desc.Digest]
		if part == nil {
			continue
		}
		s, ok := sent[part.name]
		switch {
		case !ok:
			return nil, fmt.Errorf("layer %s was not sent", printable(part.name))
		case s.DiffID != part.raw:
			return nil, fault(ErrDigest, part.name, "the digest of its content is %s, but the config says %s", s.DiffID, part.raw)
		}
		desc.MediaType, desc.Digest, desc.Size, desc.Data = layerTypes[a.form.algorithm()], s.Digest, s.Size, nil
		maps.DeleteFunc(desc.Annotations, func(key, _ string) bool { return isOfForm(key) })
		other.Layers[i], changed = desc, true
	}
	if !changed {
		return nil, nil
	}
	other.MediaType = m.Descriptor.MediaType
	return a.typed(other), nil
}

// isOfForm reports an annotation that is about the compressed bytes of a layer: the
// table of contents of eStargz and of zstd:chunked.
func isOfForm(key string) bool {
	return strings.HasPrefix(key, "containerd.io/snapshot/stargz/") || strings.HasPrefix(key, "io.github.containers.zstd-chunked.")
}

// typed gives the layers of Docker's manifests Docker's types. What these cannot name
// makes the manifest one of OCI.
func (a *anew) typed(m ocispec.Manifest) ocispec.Manifest {
	if m.MediaType != mediaTypeDockerManifest {
		return m
	}
	docker := map[string]string{ocispec.MediaTypeImageLayerGzip: mediaTypeDockerLayerGzip, ocispec.MediaTypeImageLayer: mediaTypeDockerLayer}
	if a.form.algorithm() == Zstd {
		docker = nil
		m.MediaType, m.Config.MediaType = ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig
	}
	for i, desc := range m.Layers {
		switch algorithm := algorithmOf(desc); {
		case docker[desc.MediaType] != "":
			m.Layers[i].MediaType = docker[desc.MediaType]
		case docker == nil && algorithm != "":
			m.Layers[i].MediaType = layerTypes[algorithm]
		case docker == nil:
			m.Layers[i].MediaType = ociType(desc.MediaType)
		}
	}
	return m
}

// refer has an attestation refer to what its image became. What else refers to it
// may be signed for its digest, and stays.
func refer(m Manifest, became map[digest.Digest]ocispec.Descriptor) (any, error) {
	var other ocispec.Manifest
	if IsIndex(m.Descriptor.MediaType) || !reads(m, &other) || other.Subject == nil || !m.IsAttestation(ocispec.Descriptor{}) {
		return nil, nil
	}
	image, changed := became[other.Subject.Digest]
	if !changed {
		return nil, nil
	}
	other.MediaType = m.Descriptor.MediaType
	other.Subject.MediaType, other.Subject.Digest, other.Subject.Size = image.MediaType, image.Digest, image.Size
	return other, nil
}

// reindex is an index of what the manifests became, where one did.
func reindex(m Manifest, became map[digest.Digest]ocispec.Descriptor) (any, error) {
	var index ocispec.Index
	if !IsIndex(m.Descriptor.MediaType) || !reads(m, &index) {
		return nil, nil
	}
	changed := false
	for i, desc := range index.Manifests {
		if other, ok := became[desc.Digest]; ok {
			index.Manifests[i].MediaType, index.Manifests[i].Digest, index.Manifests[i].Size = other.MediaType, other.Digest, other.Size
			changed = true
		}
		image := digest.Digest(desc.Annotations[annotationAttested])
		if other, ok := became[image]; ok {
			desc.Annotations[annotationAttested] = other.Digest.String()
		}
	}
	if !changed {
		return nil, nil
	}
	index.MediaType = m.Descriptor.MediaType
	if index.MediaType == mediaTypeDockerList && slices.ContainsFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.MediaType == ocispec.MediaTypeImageManifest }) {
		index.MediaType = ocispec.MediaTypeImageIndex
	}
	return index, nil
}

// annotationAttested is what BuildKit has an attestation's entry name its image with.
const annotationAttested = "vnd.docker.reference.digest"
