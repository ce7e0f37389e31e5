package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// ociTypes maps Docker's media types to those that OCI has for the same bytes
// (image-spec, "Compatibility Matrix").
var ociTypes = map[string]string{
	"application/vnd.docker.distribution.manifest.v2+json":      ocispec.MediaTypeImageManifest,
	"application/vnd.docker.distribution.manifest.list.v2+json": ocispec.MediaTypeImageIndex,
	"application/vnd.docker.container.image.v1+json":            ocispec.MediaTypeImageConfig,
	"application/vnd.docker.image.rootfs.diff.tar":              ocispec.MediaTypeImageLayer,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":         ocispec.MediaTypeImageLayerGzip,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":         ocispec.MediaTypeImageLayerZstd,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":      ocispec.MediaTypeImageLayerNonDistributable,     //nolint:staticcheck // images of Windows have them
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": ocispec.MediaTypeImageLayerNonDistributableGzip, //nolint:staticcheck // likewise
}

// converted is a manifest with OCI's media types in the place of Docker's, and
// with its converted children in the place of the original ones.
func converted(m image.Manifest, children map[digest.Digest]image.Manifest) (image.Manifest, error) {
	oci := func(d *ocispec.Descriptor) {
		if child, ok := children[d.Digest]; ok {
			d.Digest, d.Size, d.MediaType = child.Descriptor.Digest, child.Descriptor.Size, child.Descriptor.MediaType
		} else if t, ok := ociTypes[d.MediaType]; ok && !image.IsManifest(d.MediaType) {
			d.MediaType = t
		}
	}
	mediaType := m.Descriptor.MediaType
	if t, ok := ociTypes[mediaType]; ok {
		mediaType = t
	}
	var document any
	if image.IsIndex(mediaType) {
		var index ocispec.Index
		if err := json.Unmarshal(m.Data, &index); err != nil {
			return image.Manifest{}, err
		}
		index.MediaType = mediaType
		for i := range index.Manifests {
			oci(&index.Manifests[i])
		}
		document = index
	} else {
		var manifest ocispec.Manifest
		if err := json.Unmarshal(m.Data, &manifest); err != nil {
			return image.Manifest{}, err
		}
		manifest.MediaType = mediaType
		oci(&manifest.Config)
		for i := range manifest.Layers {
			oci(&manifest.Layers[i])
		}
		document = manifest
	}
	data, err := json.Marshal(document)
	if err != nil {
		return image.Manifest{}, err
	}
	return image.ParseManifest(mediaType, data)
}

// fitting is m in the form that the registry takes, as far as is known: with
// OCI's media types if it refuses Docker's. An index is converted with its
// children.
func (p *push) fitting(m image.Manifest) (image.Manifest, error) {
	known := p.record.sentAs(m)
	if known.Descriptor.Digest != m.Descriptor.Digest {
		return known, nil
	}
	children := p.record.conversions()
	changed := false
	for _, d := range m.References {
		_, ok := children[d.Digest]
		changed = changed || ok
	}
	if _, docker := ociTypes[m.Descriptor.MediaType]; !changed && (!docker || !p.env.Traits.WantsOCI()) {
		return m, nil
	}
	other, err := converted(m, children)
	if err != nil {
		return image.Manifest{}, fmt.Errorf("convert manifest: %w", err)
	}
	p.record.converts(m, other)
	return other, nil
}

// putFitting sends a manifest, and sends it once more in OCI's form if the
// registry refuses Docker's (zot does).
func (p *push) putFitting(ctx context.Context, m image.Manifest, reference string) error {
	for {
		form, err := p.fitting(m)
		if err != nil {
			return err
		}
		name := reference
		if name == m.Descriptor.Digest.String() {
			name = form.Descriptor.Digest.String()
		}
		err = p.putOnce(ctx, form, name)
		answer, refused := errors.AsType[*registry.Error](err)
		_, docker := ociTypes[form.Descriptor.MediaType]
		if !refused || answer.Status != http.StatusUnsupportedMediaType || !docker {
			return err
		}
		p.env.Traits.RefusedDocker()
		p.record.note("the registry takes OCI media types alone; sending the manifest with these, under another digest")
	}
}
