package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Describe is m as an entry of an index: with the platform that its config
// gives.
//
// Errors: [*Error] where m is no image for a platform.
func (m Manifest) Describe(config []byte) (ocispec.Descriptor, error) {
	c, err := parseConfig("config", config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if c.OS == "" || c.Architecture == "" {
		return ocispec.Descriptor{}, fault(ErrNotImage, m.Descriptor.Digest.String(), "its config names no platform")
	}
	desc := m.Descriptor
	platform := normalize(c.Platform)
	desc.Platform = &platform
	return desc, nil
}

// Join makes the index of images and of their attestations. Each image has its platform
// in its descriptor. The index is the same for the
// same images in any order: images sorted by platform, then attestations. It is
// Docker's if everything in it is, and there are no annotations.
//
// Errors: [*Error] where there is no image, or two are for one platform.
func Join(images []ocispec.Descriptor, annotations map[string]string) (Manifest, error) {
	images = slices.Clone(images)
	rank := func(d ocispec.Descriptor) int {
		if isAttestation(d) {
			return 1
		}
		return 0
	}
	slices.SortFunc(images, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(platformName(a), platformName(b)), cmp.Compare(a.Digest, b.Digest))
	})
	images = slices.CompactFunc(images, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
	if len(images) == 0 || rank(images[0]) > 0 {
		return Manifest{}, fault(ErrNotImage, "", "there is no image to make an index of")
	}
	docker := len(annotations) == 0
	for i, d := range images {
		if i > 0 && rank(d) == 0 && platformName(d) == platformName(images[i-1]) {
			return Manifest{}, fault(ErrAmbiguous, "", "two images are for %s: %s and %s", platformName(d), images[i-1].Digest, d.Digest)
		}
		docker = docker && d.MediaType == mediaTypeDockerManifest
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: images, Annotations: annotations}
	if docker {
		index.MediaType = mediaTypeDockerList
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(index); err != nil {
		return Manifest{}, err
	}
	return ParseManifest(index.MediaType, bytes.TrimSuffix(data.Bytes(), []byte("\n")))
}

func platformName(d ocispec.Descriptor) string {
	if d.Platform == nil {
		return formatPlatform(ocispec.Platform{})
	}
	return formatPlatform(*d.Platform)
}
