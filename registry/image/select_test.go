package image_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

func called(desc ocispec.Descriptor, annotations ...string) ocispec.Descriptor {
	desc.Annotations = map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		desc.Annotations[annotations[i]] = annotations[i+1]
	}
	return desc
}

const (
	containerdName = "io.containerd.image.name"
	refName        = ocispec.AnnotationRefName
)

// TestChoose is about which of several images is pushed.
func TestChoose(t *testing.T) {
	l := newLayout(t)
	a, b, arm := l.image(amd64, "a"), l.image(amd64, "b"), l.image(arm64, "c")
	windows := func(version string) ocispec.Descriptor {
		return l.image(ocispec.Platform{OS: "windows", Architecture: "amd64", OSVersion: version}, version)
	}
	win1, win2 := windows("10.0.17763.1"), windows("10.0.20348.2")
	old6 := l.image(armv6, "d")
	index := l.nested(a, arm, l.attestation(a))
	bare := b
	bare.Platform = nil
	signature := called(b, "io.containerd.manifest.subject", a.Digest.String())

	for name, test := range map[string]struct {
		entries []ocispec.Descriptor
		opts    image.Options
		want    digest.Digest
		kind    error
		fault   string
	}{
		"the only one":             {entries: []ocispec.Descriptor{a}, want: a.Digest},
		"the only one, two names":  {entries: []ocispec.Descriptor{called(a, refName, "1"), called(a, refName, "2")}, want: a.Digest},
		"a signature beside it":    {entries: []ocispec.Descriptor{a, signature}, want: a.Digest},
		"full name":                {entries: []ocispec.Descriptor{called(a, containerdName, "docker.io/library/app:1"), called(b, containerdName, "docker.io/library/app:2")}, opts: image.Options{Name: "docker.io/library/app:2"}, want: b.Digest},
		"short name":               {entries: []ocispec.Descriptor{called(a, containerdName, "docker.io/library/app:latest"), called(b, containerdName, "docker.io/library/app:2")}, opts: image.Options{Name: "app"}, want: a.Digest},
		"tag alone":                {entries: []ocispec.Descriptor{called(a, refName, "v1"), called(b, refName, "v2")}, opts: image.Options{Name: "v2"}, want: b.Digest},
		"digest":                   {entries: []ocispec.Descriptor{called(a, refName, "v1"), called(b, refName, "v2")}, opts: image.Options{Name: b.Digest.String()}, want: b.Digest},
		"other name":               {entries: []ocispec.Descriptor{called(a, refName, "v1")}, opts: image.Options{Name: "v3"}, kind: image.ErrNoMatch, fault: `index.json: there is no image "v3"; there are: v1`},
		"same tag of two":          {entries: []ocispec.Descriptor{called(a, containerdName, "a:1", refName, "1"), called(b, containerdName, "b:1", refName, "1")}, opts: image.Options{Name: "1"}, kind: image.ErrAmbiguous, fault: "choose one with --image: a:1, b:1"},
		"two without names":        {entries: []ocispec.Descriptor{a, bare}, kind: image.ErrAmbiguous, fault: a.Digest.String() + " (linux/amd64), " + b.Digest.String()},
		"two for one platform":     {entries: []ocispec.Descriptor{a, b}, kind: image.ErrAmbiguous, fault: "there are several images"},
		"index.json is the index":  {entries: []ocispec.Descriptor{a, arm}, want: digest.FromBytes(indexJSON(t, a, arm))},
		"index.json, attestation":  {entries: []ocispec.Descriptor{a, l.attestation(a)}, want: digest.FromBytes(indexJSON(t, a, l.attestation(a)))},
		"index.json, platform":     {entries: []ocispec.Descriptor{a, arm}, opts: image.Options{Platform: "linux/arm64/v8"}, want: arm.Digest},
		"nested":                   {entries: []ocispec.Descriptor{index}, want: index.Digest},
		"platform":                 {entries: []ocispec.Descriptor{index}, opts: image.Options{Platform: "linux/amd64"}, want: a.Digest},
		"platform, other spelling": {entries: []ocispec.Descriptor{index}, opts: image.Options{Platform: "Linux/x86_64"}, want: a.Digest},
		"platform, not there":      {entries: []ocispec.Descriptor{index}, opts: image.Options{Platform: "linux/s390x"}, kind: image.ErrNoMatch, fault: "there is no image for linux/s390x; there are: linux/amd64, linux/arm64"},
		"platform of one image":    {entries: []ocispec.Descriptor{bare}, opts: image.Options{Platform: "linux/amd64"}, want: b.Digest},
		"other than of one image":  {entries: []ocispec.Descriptor{bare}, opts: image.Options{Platform: "linux/arm64"}, kind: image.ErrNoMatch, fault: "there are: linux/amd64"},
		"older variant":            {entries: []ocispec.Descriptor{l.nested(a, old6)}, opts: image.Options{Platform: "linux/arm/v7"}, want: old6.Digest},
		"newer variant":            {entries: []ocispec.Descriptor{l.nested(a, old6)}, opts: image.Options{Platform: "linux/arm/v5"}, kind: image.ErrNoMatch, fault: "linux/arm/v6"},
		"windows":                  {entries: []ocispec.Descriptor{l.nested(win1, win2)}, opts: image.Options{Platform: "windows/amd64"}, kind: image.ErrAmbiguous, fault: "several images are for windows/amd64: windows(10.0.17763.1)/amd64, windows(10.0.20348.2)/amd64"},
		"windows, version":         {entries: []ocispec.Descriptor{l.nested(win1, win2)}, opts: image.Options{Platform: "windows(10.0.20348.2)/amd64"}, want: win2.Digest},
	} {
		t.Run(name, func(t *testing.T) {
			l.finish(test.entries...)
			sources := ways(t, l.tar())
			dir := l.dir()
			sources["directory"] = func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }
			for way, open := range sources {
				p, err := pushFrom(t, open, &test.opts)
				switch {
				case test.fault != "":
					if err == nil || !strings.Contains(err.Error(), test.fault) || !errors.Is(err, test.kind) {
						t.Errorf("%s: got %v, want %s", way, err, test.fault)
					}
				case err != nil:
					t.Errorf("%s: %v", way, err)
				case p.image.Root.Descriptor.Digest != test.want || digest.FromBytes(p.image.Root.Data) != test.want:
					t.Errorf("%s: got %s, want %s", way, p.image.Root.Descriptor.Digest, test.want)
				case len(p.lacks()) > 0:
					t.Errorf("%s: lacks %v", way, p.lacks())
				}
			}
		})
	}
}

func TestChooseFromArchive(t *testing.T) {
	a, b := layerTar(t, "a"), layerTar(t, "b")
	first, second := configJSON(t, amd64, a), configJSON(t, amd64, b)
	data := pack(t, entry{name: "a.tar", data: a}, entry{name: "b.tar", data: b}, entry{name: "a.json", data: first}, entry{name: "b.json", data: second},
		entry{name: "manifest.json", data: mustJSON(t, []map[string]any{
			{"Config": "a.json", "RepoTags": []string{"app:1", "app:one"}, "Layers": []string{"a.tar"}},
			{"Config": "b.json", "RepoTags": []string{"git.example.com/me/app:2"}, "Layers": []string{"b.tar"}},
		})})
	for name, test := range map[string]struct {
		opts  image.Options
		want  []byte
		fault string
	}{
		"first":         {opts: image.Options{Name: "app:1"}, want: first},
		"second name":   {opts: image.Options{Name: "docker.io/library/app:one"}, want: first},
		"other host":    {opts: image.Options{Name: "git.example.com/me/app:2"}, want: second},
		"platform":      {opts: image.Options{Name: "app:1", Platform: "linux/amd64"}, want: first},
		"none":          {fault: "manifest.json: there are several images; choose one with --image: app:1, git.example.com/me/app:2"},
		"unknown":       {opts: image.Options{Name: "app:3"}, fault: `there is no image "app:3"`},
		"other machine": {opts: image.Options{Name: "app:1", Platform: "linux/arm64"}, fault: "there is no image for linux/arm64; there are: linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			for way, open := range ways(t, data) {
				p, err := pushFrom(t, open, &test.opts)
				switch {
				case test.fault != "":
					if err == nil || !strings.Contains(err.Error(), test.fault) {
						t.Errorf("%s: got %v, want %s", way, err, test.fault)
					}
				case err != nil:
					t.Errorf("%s: %v", way, err)
				case p.image.Root.References[0].Digest != digest.FromBytes(test.want):
					t.Errorf("%s: got the config %s", way, p.image.Root.References[0].Digest)
				}
			}
		})
	}
}

// TestSparse is about what a daemon exports that does not hold all of an image.
func TestSparse(t *testing.T) {
	type built struct {
		*layout
		amd, arm, attestation ocispec.Descriptor
	}
	build := func(t *testing.T) built {
		t.Helper()
		l := newLayout(t)
		b := built{layout: l, amd: l.image(amd64, "a"), arm: l.image(arm64, "b")}
		b.attestation = l.attestation(b.amd)
		l.finish(l.nested(b.amd, b.arm, b.attestation))
		return b
	}
	// parts are the blobs of a manifest: config first, then layers.
	parts := func(b built, d ocispec.Descriptor) []digest.Digest {
		m, err := image.ParseManifest("", b.files[blobPath(d.Digest)])
		if err != nil {
			t.Fatal(err)
		}
		var digests []digest.Digest
		for _, ref := range m.References {
			digests = append(digests, ref.Digest)
		}
		return digests
	}
	drop := func(b built, digests ...digest.Digest) {
		for _, d := range digests {
			delete(b.files, blobPath(d))
		}
	}
	for name, test := range map[string]struct {
		change func(b built)
		opts   image.Options
		// alone is what is pushed by itself; empty means the index.
		alone   string
		missing int
		kind    error
		fault   string
	}{
		"whole":                 {change: func(built) {}},
		"other platform absent": {change: func(b built) { drop(b, b.arm.Digest); drop(b, parts(build(t), b.arm)...) }, alone: "amd"},
		"other platform hollow": {change: func(b built) { drop(b, parts(b, b.arm)...) }, alone: "amd"},
		"other platform partly": {change: func(b built) { drop(b, parts(b, b.arm)[1]) }, alone: "amd"},
		"only the other one":    {change: func(b built) { drop(b, b.amd.Digest, b.attestation.Digest) }, alone: "arm"},
		"attestation absent":    {change: func(b built) { drop(b, b.attestation.Digest) }, kind: image.ErrAmbiguous, fault: "choose a platform (--platform) among: linux/amd64, linux/arm64"},
		"attestation hollow":    {change: func(b built) { drop(b, parts(b, b.attestation)[1]) }, kind: image.ErrAmbiguous, fault: "--platform"},
		"attestation, platform": {change: func(b built) { drop(b, b.attestation.Digest) }, opts: image.Options{Platform: "linux/arm64"}, alone: "arm"},
		"no image":              {change: func(b built) { drop(b, b.amd.Digest, b.arm.Digest) }, kind: image.ErrMissing, fault: "holds none of its images; it names: linux/amd64, linux/arm64"},
		"platform absent":       {change: func(b built) { drop(b, b.arm.Digest) }, opts: image.Options{Platform: "linux/arm64"}, kind: image.ErrMissing, fault: "the source lacks this manifest"},
		"layers of both absent": {change: func(b built) { drop(b, parts(b, b.amd)[1], parts(b, b.arm)[1]) }, missing: 2},
		"layers of one absent, the other hollow": {
			change: func(b built) { drop(b, parts(b, b.amd)[1]); drop(b, parts(b, b.arm)...) }, alone: "amd", missing: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := build(t)
			test.change(b)
			for way, open := range ways(t, b.tar()) {
				p, err := pushFrom(t, open, &test.opts)
				if test.fault != "" {
					if err == nil || !strings.Contains(err.Error(), test.fault) || !errors.Is(err, test.kind) {
						t.Errorf("%s: got %v, want %s", way, err, test.fault)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", way, err)
					continue
				}
				want := map[string]digest.Digest{"amd": b.amd.Digest, "arm": b.arm.Digest}[test.alone]
				if isIndex := p.image.Root.Descriptor.MediaType == ocispec.MediaTypeImageIndex; isIndex != (want == "") || want != "" && p.image.Root.Descriptor.Digest != want {
					t.Errorf("%s: got %s, want %q alone", way, p.image.Root.Descriptor.MediaType, test.alone)
				}
				if told := len(p.image.Notices) > 0; told != (test.alone != "" && test.opts.Platform == "") {
					t.Errorf("%s: got the notices %q", way, p.image.Notices)
				}
				if len(p.image.Missing) != test.missing || len(p.lacks()) != test.missing {
					t.Errorf("%s: got %v missing, want %d", way, p.image.Missing, test.missing)
				}
			}
		})
	}
}

// A stream shows what a raw layer was for only at its end.
func TestRawLayerOfLayout(t *testing.T) {
	l := newLayout(t)
	raw := layerTar(t, "a")
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, raw)}}
	m.SchemaVersion = 2
	m.Config = l.blob(ocispec.MediaTypeImageConfig, configJSON(t, amd64, raw))
	desc := l.blob(ocispec.MediaTypeImageManifest, mustJSON(t, m))
	l.finish(desc)
	for way, open := range ways(t, l.tar()) {
		p, err := pushFrom(t, open, nil)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		if p.image.Root.Descriptor.Digest != desc.Digest {
			t.Errorf("%s: got %s, want %s", way, p.image.Root.Descriptor.Digest, desc.Digest)
		}
		var want []digest.Digest
		if way != "file" {
			want = []digest.Digest{digest.FromBytes(raw)}
		}
		if !slices.Equal(p.lacks(), want) || len(p.image.Missing) != len(want) {
			t.Errorf("%s: got %v missing, lacks %v; want %v", way, p.image.Missing, p.lacks(), want)
		}
		p, err = pushFrom(t, open, &image.Options{Compression: image.Compression{Algorithm: image.None}})
		if err != nil || len(p.lacks()) > 0 || len(p.image.Missing) > 0 {
			t.Errorf("%s, none: got %v, lacks %v", way, err, p.lacks())
		}
	}
}

// An artifact that is no image for containers is pushed byte for byte too.
func TestArtifacts(t *testing.T) {
	l := newLayout(t)
	empty := ocispec.DescriptorEmptyJSON // It brings its own two bytes.
	chart := l.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", gzipped(t, layerTar(t, "chart")))
	text := l.blob("text/plain", []byte("hello"))
	large := l.blob("application/json", append([]byte("{"), bytes.Repeat([]byte(" "), 4<<20)...))
	nothing := l.blob("application/octet-stream", nil)
	manifest := func(m ocispec.Manifest) ocispec.Descriptor {
		m.SchemaVersion, m.MediaType = 2, ocispec.MediaTypeImageManifest
		return l.blob(m.MediaType, mustJSON(t, m))
	}
	external := ocispec.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: digest.FromString("elsewhere"), Size: 10, URLs: []string{"https://example.com/layer"}}
	config := l.blob(ocispec.MediaTypeImageConfig, configJSON(t, amd64))
	cache := l.blob("application/vnd.buildkit.cacheconfig.v0", []byte(`{"layers":[]}`))
	old := l.blob("application/vnd.oci.artifact.manifest.v1+json", mustJSON(t, map[string]any{
		"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "text/plain", "blobs": []ocispec.Descriptor{text},
	}))
	for name, test := range map[string]struct {
		root    ocispec.Descriptor
		blobs   int
		missing []digest.Digest
	}{
		"helm chart":     {manifest(ocispec.Manifest{Config: l.blob("application/vnd.cncf.helm.config.v1+json", []byte(`{"name":"x"}`)), Layers: []ocispec.Descriptor{chart}}), 2, nil},
		"empty config":   {manifest(ocispec.Manifest{Config: empty, ArtifactType: "text/plain", Layers: []ocispec.Descriptor{text}}), 2, nil},
		"subject":        {manifest(ocispec.Manifest{Config: empty, Subject: &external, Layers: []ocispec.Descriptor{empty}}), 1, nil},
		"large JSON":     {manifest(ocispec.Manifest{Config: empty, Layers: []ocispec.Descriptor{large, nothing}}), 3, nil},
		"same twice":     {manifest(ocispec.Manifest{Config: empty, Layers: []ocispec.Descriptor{text, text}}), 2, nil},
		"external layer": {manifest(ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{external}}), 1, []digest.Digest{external.Digest}},
		"build cache":    {l.nested(called(chart), called(cache)), 2, nil},
		"old artifact":   {old, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l.finish(test.root)
			for way, open := range ways(t, l.tar()) {
				p, err := pushFrom(t, open, nil)
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if p.image.Root.Descriptor.Digest != test.root.Digest {
					t.Errorf("%s: got %s, want %s", way, p.image.Root.Descriptor.Digest, test.root.Digest)
				}
				if !slices.Equal(p.lacks(), test.missing) || len(p.image.Missing) != len(test.missing) {
					t.Errorf("%s: got %v missing, lacks %v; want %v", way, p.image.Missing, p.lacks(), test.missing)
				}
				if way == "file" && len(p.blobs) != test.blobs {
					t.Errorf("got %d blobs, want %d", len(p.blobs), test.blobs)
				}
			}
		})
	}
}
