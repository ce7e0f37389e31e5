package image_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// artifact adds an attestation as newer BuildKits write it.
func (l *layout) artifact(of ocispec.Descriptor) ocispec.Descriptor {
	l.tb.Helper()
	of.Platform = nil
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Subject: &of, Config: l.blob(ocispec.MediaTypeEmptyJSON, []byte("{}"))}
	m.SchemaVersion = 2
	m.Layers = []ocispec.Descriptor{l.blob("application/vnd.in-toto+json", []byte(`{"subject":"`+of.Digest.String()+`"}`))}
	return l.blob(ocispec.MediaTypeImageManifest, mustJSON(l.tb, m))
}

// manifest adds an image of layers in any form.
func (l *layout) manifest(mediaType, configType string, platform ocispec.Platform, raw []byte, layers ...ocispec.Descriptor) ocispec.Descriptor {
	l.tb.Helper()
	m := ocispec.Manifest{MediaType: mediaType, Layers: layers}
	m.SchemaVersion = 2
	m.Config = l.blob(configType, configJSON(l.tb, platform, slices.Repeat([][]byte{raw}, len(layers))...))
	desc := l.blob(mediaType, mustJSON(l.tb, m))
	desc.Platform = &platform
	return desc
}

// everyWay pushes a layout in each way to read it, and gives what arrived.
func everyWay(t *testing.T, l *layout, o image.Options, check func(way string, p *pushed)) {
	t.Helper()
	all := ways(t, l.tar())
	dir := l.dir()
	all["directory"] = func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }
	for way, open := range all {
		p, err := pushFrom(t, open, &o)
		if err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		if lacks := p.lacks(); len(lacks) > 0 {
			t.Errorf("%s: lacks %v", way, lacks)
		}
		check(way, p)
	}
}

func TestNoAttestations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		root func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor
		want func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor
		told string
	}{
		"two images": {func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor {
			return l.nested(amd, arm, l.attestation(amd), l.attestation(arm))
		}, twoImages, " is pushed without its attestations, as "},
		"artifacts": {func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor {
			return l.nested(amd, l.artifact(amd), arm, l.artifact(arm))
		}, twoImages, " is pushed without its attestations, as "},
		"one image": {func(l *layout, amd, _ ocispec.Descriptor) ocispec.Descriptor {
			return l.nested(amd, l.attestation(amd))
		}, func(_ *layout, amd, _ ocispec.Descriptor) ocispec.Descriptor { return amd }, "the image alone is pushed, without its attestations: "},
		"an index of an index": {func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor {
			return l.nested(l.nested(amd, arm, l.attestation(amd)), arm)
		}, func(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor {
			return l.nested(twoImages(l, amd, arm), arm)
		}, ", as "},
		"none to leave out": {twoImages, twoImages, ""},
		"an index of one image": {
			func(l *layout, amd, _ ocispec.Descriptor) ocispec.Descriptor { return l.nested(amd) },
			func(l *layout, amd, _ ocispec.Descriptor) ocispec.Descriptor { return l.nested(amd) }, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLayout(t)
			amd, arm := l.image(amd64, "a"), l.image(arm64, "b")
			root := tc.root(l, amd, arm)
			want := tc.want(newLayout(t), amd, arm).Digest
			everyWay(t, l.finish(root), image.Options{NoAttestations: true}, func(way string, p *pushed) {
				got, notice := p.image.Root.Descriptor.Digest, strings.Join(p.image.Notices, "\n")
				if got != want {
					t.Errorf("%s: got %s, want %s", way, p.image.Root.Data, want)
				}
				told := tc.told != "" && strings.Contains(notice, root.Digest.String()) && strings.Contains(notice, tc.told+want.String())
				if told != (tc.told != "") || !told && notice != "" {
					t.Errorf("%s: was told %q", way, notice)
				}
			})
		})
	}
}

func twoImages(l *layout, amd, arm ocispec.Descriptor) ocispec.Descriptor { return l.nested(amd, arm) }

// What is left out need not be there.
func TestNoAttestationsOfAnIncompleteIndex(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	amd := l.image(amd64, "a")
	attestation := l.attestation(amd)
	delete(l.files, blobPath(attestation.Digest))
	everyWay(t, l.finish(l.nested(amd, attestation)), image.Options{NoAttestations: true}, func(way string, p *pushed) {
		if got := p.image.Root.Descriptor.Digest; got != amd.Digest {
			t.Errorf("%s: got %s, want %s", way, got, amd.Digest)
		}
	})
}

// An ID is that of what is pushed, or there is none.
func TestIDOfWhatIsMadeAnew(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	amd := l.image(amd64, "a")
	dir := l.finish(l.nested(amd, l.attestation(amd))).dir()
	for name, tc := range map[string]struct {
		opts image.Options
		want digest.Digest
	}{
		"without attestations": {image.Options{NoAttestations: true}, amd.Digest},
		"in another form":      {image.Options{ForceCompression: true, Compression: image.Compression{Algorithm: image.Zstd}}, ""},
		"in its own form":      {image.Options{ForceCompression: true, NoAttestations: true}, amd.Digest},
	} {
		s, err := image.Open(dir, &tc.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.ID(); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
		// What refers to the image refers to none that is not pushed.
		if got := s.Manifests(); len(got) > 0 != (tc.want != "") || len(got) > 0 && got[0] != tc.want {
			t.Errorf("%s: got %v, want %q", name, got, tc.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Every layer has the form that is wanted, the config stays, and what names the image
// names it by its new digest.
func TestForceCompression(t *testing.T) {
	t.Parallel()
	raw := layerTar(t, "a")
	const dockerManifest, dockerConfig = "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json"
	const dockerRaw = "application/vnd.docker.image.rootfs.diff.tar"
	for name, tc := range map[string]struct {
		form     string
		root     func(l *layout) ocispec.Descriptor
		manifest string // of the images
		layer    string // of their layers
	}{
		"raw, gzip": {image.Gzip, func(l *layout) ocispec.Descriptor {
			return l.manifest(ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, amd64, raw, l.blob(ocispec.MediaTypeImageLayer, raw))
		}, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayerGzip},
		"gzip and raw, zstd": {image.Zstd, func(l *layout) ocispec.Descriptor {
			return l.manifest(ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, amd64, raw,
				l.blob(ocispec.MediaTypeImageLayerGzip, gzipped(t, raw)), l.blob(ocispec.MediaTypeImageLayer, raw))
		}, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayerZstd},
		"zstd, none": {image.None, func(l *layout) ocispec.Descriptor {
			return l.manifest(ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, amd64, raw, l.blob(ocispec.MediaTypeImageLayerZstd, zstandard(t, raw)))
		}, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayer},
		"docker's, gzip": {image.Gzip, func(l *layout) ocispec.Descriptor {
			return l.manifest(dockerManifest, dockerConfig, amd64, raw, l.blob(dockerRaw, raw), l.blob(dockerLayerGzip, gzipped(t, raw)))
		}, dockerManifest, dockerLayerGzip},
		"docker's, zstd": {image.Zstd, func(l *layout) ocispec.Descriptor {
			return l.manifest(dockerManifest, dockerConfig, amd64, raw, l.blob(dockerLayerGzip, gzipped(t, raw)))
		}, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayerZstd},
		"an index, with attestations": {image.Zstd, func(l *layout) ocispec.Descriptor {
			amd, arm := l.image(amd64, "a", "b"), l.image(arm64, "b")
			return l.nested(l.attestation(amd), amd, arm, l.artifact(arm))
		}, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayerZstd},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLayout(t)
			root := tc.root(l)
			everyWay(t, l.finish(root), image.Options{ForceCompression: true, Compression: image.Compression{Algorithm: tc.form}}, func(way string, p *pushed) {
				notice := strings.Join(p.image.Notices, "\n")
				if !strings.Contains(notice, root.Digest.String()+" is pushed as "+p.image.Root.Descriptor.Digest.String()) {
					t.Errorf("%s: was told %q", way, notice)
				}
				checkForm(t, way, p, tc.manifest, tc.layer)
				if image.IsIndex(p.image.Root.Descriptor.MediaType) && !strings.Contains(notice, "its attestations state the old digest") {
					t.Errorf("%s: was told %q", way, notice)
				}
			})
		})
	}
}

// checkForm compares the images of what was pushed with the form that they are to
// have, and what names them with what they are.
func checkForm(t *testing.T, way string, p *pushed, manifestType, layerType string) {
	t.Helper()
	images := map[digest.Digest]bool{}
	all := append(slices.Clone(p.image.Children), p.image.Root)
	for _, m := range all {
		var manifest ocispec.Manifest
		if err := json.Unmarshal(m.Data, &manifest); err != nil {
			t.Fatal(err)
		}
		if len(manifest.Layers) == 0 || manifest.Layers[0].MediaType == "application/vnd.in-toto+json" {
			continue
		}
		images[m.Descriptor.Digest] = true
		if m.Descriptor.MediaType != manifestType || p.blobs[manifest.Config.Digest] == nil {
			t.Errorf("%s: the manifest is %s", way, m.Data)
		}
		for _, d := range manifest.Layers {
			if d.MediaType != layerType || p.blobs[d.Digest] == nil || int64(len(p.blobs[d.Digest])) != d.Size {
				t.Errorf("%s: got the layer %v", way, d)
			}
		}
	}
	for _, m := range all {
		var any struct {
			Subject   *ocispec.Descriptor  `json:"subject"`
			Manifests []ocispec.Descriptor `json:"manifests"`
		}
		if err := json.Unmarshal(m.Data, &any); err != nil {
			t.Fatal(err)
		}
		if any.Subject != nil && !images[any.Subject.Digest] {
			t.Errorf("%s: an attestation refers to %s", way, any.Subject.Digest)
		}
		for _, d := range any.Manifests {
			if of := d.Annotations["vnd.docker.reference.digest"]; of != "" && !images[digest.Digest(of)] {
				t.Errorf("%s: an attestation is said to be of %s", way, of)
			}
		}
	}
}

// A docker archive whose layers are compressed already.
func TestForceCompressionOfArchive(t *testing.T) {
	t.Parallel()
	raw := layerTar(t, "a")
	packed := gzipped(t, raw)
	config := configJSON(t, amd64, raw)
	name := digest.FromBytes(packed).Encoded() + ".tar.gz"
	manifest := []map[string]any{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": []string{name}}}
	data := pack(t, entry{name: "config.json", data: config}, entry{name: name, data: packed}, entry{name: "manifest.json", data: mustJSON(t, manifest)})
	for way, open := range ways(t, data) {
		p, err := pushFrom(t, open, &image.Options{ForceCompression: true, Compression: image.Compression{Algorithm: image.Zstd}})
		if err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		checkForm(t, way, p, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageLayerZstd)
	}
}

// What only looks like a layer, and a layer whose content is another, are not sent.
func TestForceCompressionRefuses(t *testing.T) {
	t.Parallel()
	raw, other := layerTar(t, "a"), layerTar(t, "b")
	o := image.Options{ForceCompression: true, Compression: image.Compression{Algorithm: image.Zstd}}
	l := newLayout(t)
	lying := l.manifest(ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, amd64, raw, l.blob(ocispec.MediaTypeImageLayerGzip, gzipped(t, other)))
	for way, open := range ways(t, l.finish(lying).tar()) {
		if _, err := pushFrom(t, open, &o); err == nil || !strings.Contains(err.Error(), "but the config says") {
			t.Errorf("%s: got %v", way, err)
		}
	}
	l = newLayout(t)
	chart := l.manifest(ocispec.MediaTypeImageManifest, "application/vnd.cncf.helm.config.v1+json", amd64, raw, l.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", gzipped(t, raw)))
	for way, open := range ways(t, l.finish(chart).tar()) {
		p, err := pushFrom(t, open, &o)
		switch {
		case way == "file" && (err != nil || p.image.Root.Descriptor.Digest != chart.Digest):
			t.Errorf("%s: got %v", way, err)
		case way != "file" && (err == nil || !strings.Contains(err.Error(), "push it from a file")):
			t.Errorf("%s: got %v", way, err)
		}
	}
}
