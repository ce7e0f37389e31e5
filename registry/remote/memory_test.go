package remote_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// remembered is a push that leaves something in the cache, or finds it there.
type remembered struct {
	opts registry.PushOptions
	save []byte
	// via is a daemon's own push. What it compresses has bytes of its own.
	via func(context.Context, *holder) error
	// meant is the push of what the ID stands for, where the daemon gives
	// something else. What is meant may be pushed in its place.
	meant string
}

func (r remembered) push(t *testing.T, srv *registrytest.Server, cache string, name string) {
	t.Helper()
	r.by(t, clientOf(t, srv, remote.Options{Save: save(r.save), CacheDir: cache}), name)
}

// together is a client of all pushes of a command.
func together(t *testing.T, srv *registrytest.Server, cache string) func(r remembered, name string) {
	t.Helper()
	var archive []byte
	c := clientOf(t, srv, remote.Options{CacheDir: cache, Together: true, Save: func(ctx context.Context, ref string) (io.ReadCloser, error) {
		return save(archive)(ctx, ref)
	}})
	return func(r remembered, name string) {
		t.Helper()
		archive = r.save
		r.by(t, c, name)
	}
}

func (r remembered) by(t *testing.T, c *remote.Client, name string) {
	t.Helper()
	opts := r.opts
	if r.via != nil {
		opts.Via = func(ctx context.Context, to registry.Loopback) error { return r.via(ctx, &holder{to, to.Password}) }
	}
	if err := c.Push(t.Context(), name, opts); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// store is what a daemon or a builder makes of one raw layer: the same layer in
// several forms, beside what could be taken for it.
type store struct {
	t       *testing.T
	raw     []byte
	config  []byte
	content map[digest.Digest][]byte // whatever was described
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{t: t, raw: layerOf(t, 5000), content: map[digest.Digest][]byte{}}
	s.config = s.configFor("amd64", s.raw)
	return s
}

func (s *store) configFor(arch string, layers ...[]byte) []byte {
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}}
	for _, layer := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(layer))
	}
	return encode(s.t, config)
}

func (s *store) add(mediaType string, data []byte) ocispec.Descriptor {
	d := describe(mediaType, data)
	s.content[d.Digest] = data
	return d
}

func (s *store) manifest(config []byte, layers ...ocispec.Descriptor) ocispec.Descriptor {
	return s.add(ocispec.MediaTypeImageManifest, encode(s.t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: s.add(ocispec.MediaTypeImageConfig, config), Layers: layers,
	}))
}

func (s *store) gzipped(raw []byte) ocispec.Descriptor {
	return s.add(ocispec.MediaTypeImageLayerGzip, gzipped(s.t, raw))
}

func (s *store) index(children ...ocispec.Descriptor) ocispec.Descriptor {
	return s.add(ocispec.MediaTypeImageIndex, encode(s.t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: children}))
}

// export is the archive of a containerd store, but for what it does not hold.
func (s *store) export(root ocispec.Descriptor, without ...digest.Digest) []byte {
	var entries []entry
	for d, data := range s.below(root) {
		if !slices.Contains(without, d) {
			entries = append(entries, blobEntry(data))
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return pack(s.t, append(entries,
		entry{"index.json", encode(s.t, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{root}})},
		entry{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)})...)
}

// below is a manifest with all that it leads to.
func (s *store) below(root ocispec.Descriptor) map[digest.Digest][]byte {
	all := map[digest.Digest][]byte{root.Digest: s.content[root.Digest]}
	if m, err := image.ParseManifest(root.MediaType, s.content[root.Digest]); err == nil && strings.Contains(root.MediaType, "image.") {
		for _, d := range m.References {
			maps.Copy(all, s.below(d))
		}
	}
	return all
}

// send pushes as containerd does: blobs first, then the manifests.
func (s *store) send(root ocispec.Descriptor) func(context.Context, *holder) error {
	return func(ctx context.Context, h *holder) error {
		return s.sendAs(ctx, h, root, registry.LoopbackTag)
	}
}

func (s *store) sendAs(ctx context.Context, h *holder, d ocispec.Descriptor, reference string) error {
	data := s.content[d.Digest]
	if !strings.Contains(d.MediaType, "manifest.v") && !strings.Contains(d.MediaType, "index.v") {
		return h.whole(ctx, data, d.Digest, http.StatusCreated)
	}
	m, err := image.ParseManifest(d.MediaType, data)
	if err != nil {
		return err
	}
	for _, d := range m.References {
		if err := s.sendAs(ctx, h, d, d.Digest.String()); err != nil {
			return err
		}
	}
	return putTyped(ctx, h, data, reference, d.MediaType)
}

func putTyped(ctx context.Context, h *holder, body []byte, reference, mediaType string) error {
	host, repository, _ := strings.Cut(h.to.Repository, "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+host+"/v2/"+repository+"/manifests/"+reference, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Close = true // the next push may listen at the same port
	req.SetBasicAuth(h.to.Username, h.password)
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode == http.StatusCreated {
		return err
	}
	return fmt.Errorf("put %s: %s", reference, resp.Status)
}

// pushes are pushes of images that have a layer in common. Those with the same
// ID differ in an option, or in what the daemon has by then.
func pushes(t *testing.T) map[string]remembered {
	t.Helper()
	s := newStore(t)
	raw := digest.FromBytes(s.raw)
	classic, classicID := saved(t, true, s.raw)
	legacy, _ := saved(t, false, s.raw)
	another, _ := saved(t, true, pack(t, entry{"file", noise(t, 7, 3000)}))
	form := func(algorithm string, level int) image.Compression {
		return image.Compression{Algorithm: algorithm, Level: level}
	}

	otherRaw := pack(t, entry{"file", noise(t, 9, 5000)})
	amd := s.manifest(s.config, s.gzipped(s.raw))
	arm := s.manifest(s.configFor("arm64", otherRaw), s.gzipped(otherRaw))
	amd.Platform, arm.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}, &ocispec.Platform{OS: "linux", Architecture: "arm64"}
	index := s.index(amd, arm)
	var armOnly []digest.Digest
	for d := range s.below(arm) {
		armOnly = append(armOnly, d)
	}
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`)
	attested := s.index(amd, s.manifest(s.configFor("unknown", statement), s.add("application/vnd.in-toto+json", statement)))
	attestation := s.manifest(s.configFor("unknown", statement), s.add("application/vnd.in-toto+json", statement))
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": amd.Digest.String()}
	built := s.index(amd, attestation)
	uncompressed := s.manifest(s.config, s.add(ocispec.MediaTypeImageLayer, s.raw))
	// A zstd writer of another make than ours.
	small, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		t.Fatal(err)
	}
	zstandard := s.manifest(s.config, s.add(ocispec.MediaTypeImageLayerZstd, small.EncodeAll(s.raw, nil)))
	foreign := s.gzipped(otherRaw)
	foreign.MediaType, foreign.URLs = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", []string{"https://example.com/layer"}
	withForeign := s.manifest(s.configFor("amd64", s.raw, otherRaw), s.gzipped(s.raw), foreign)
	store := func(root ocispec.Descriptor, platform string, via bool, without ...digest.Digest) remembered {
		r := remembered{
			opts: registry.PushOptions{ImageID: root.Digest, Platform: platform, DiffIDs: []digest.Digest{raw}},
			save: s.export(root, without...),
		}
		sent := root
		switch {
		case platform == "linux/arm64":
			r.save, sent = s.export(arm), arm
		case len(without) > 0:
			sent, r.meant = amd, "containerd"
		}
		if via {
			r.via = s.send(sent)
		}
		return r
	}
	moby := func(ctx context.Context, h *holder) error {
		m := encode(t, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerManifest,
			Config: describe("application/vnd.docker.container.image.v1+json", s.config),
			Layers: []ocispec.Descriptor{describe("application/vnd.docker.image.rootfs.diff.tar.gzip", gzipped(t, s.raw))},
		})
		return errors.Join(h.stream(ctx, gzipped(t, s.raw), digest.FromBytes(gzipped(t, s.raw)), http.StatusCreated),
			h.stream(ctx, s.config, digest.FromBytes(s.config), http.StatusCreated), putTyped(ctx, h, m, registry.LoopbackTag, dockerManifest))
	}
	export := func(archive []byte, id digest.Digest, c image.Compression) remembered {
		return remembered{opts: registry.PushOptions{ImageID: id, Compression: c}, save: archive}
	}
	anew := func(r remembered, attested bool, c image.Compression) remembered {
		r.opts.NoAttestations, r.opts.ForceCompression, r.opts.Compression = !attested, c.Algorithm != "", c
		return r
	}
	return map[string]remembered{
		"containerd built":              store(built, "", false),
		"containerd built, without":     anew(store(built, "", false), false, form("", 0)),
		"containerd built via, without": anew(store(built, "", true), false, form("", 0)),
		"containerd forced":             anew(store(index, "", false), true, form(image.Zstd, 0)),
		"containerd raw, forced":        anew(store(uncompressed, "", false), true, form(image.Gzip, 0)),
		"classic":                       export(classic, classicID, form("", 0)),
		"classic zstd":                  export(classic, classicID, form(image.Zstd, 0)),
		"classic none":                  export(classic, classicID, form(image.None, 0)),
		"classic gzip 9":                export(classic, classicID, form(image.Gzip, 9)),
		"classic zstd 19":               export(classic, classicID, form(image.Zstd, 19)),
		"classic, retagged meanwhile":   {opts: registry.PushOptions{ImageID: classicID}, save: another, meant: "classic"},
		"classic, before 25.0":          export(legacy, "", form("", 0)),
		"archive zstd":                  export(legacy, "", form(image.Zstd, 0)),
		"classic via the daemon":        {opts: registry.PushOptions{ImageID: classicID, DiffIDs: []digest.Digest{raw}}, via: moby, save: classic},
		"containerd":                    store(index, "", false),
		"containerd via":                store(index, "", true),
		"containerd, one platform":      store(index, "linux/arm64", false),
		"containerd, one, via":          store(index, "linux/arm64", true),
		"containerd, one held":          store(index, "", false, armOnly...),
		"containerd, one held, via":     store(index, "", true, armOnly...),
		"containerd, the child":         store(amd, "", true),
		"containerd attested via":       store(attested, "", true),
		"containerd zstd via":           store(zstandard, "", true),
		"containerd lying via":          store(s.manifest(s.config, s.gzipped(otherRaw)), "", true),
		"containerd foreign via":        store(withForeign, "", true),
	}
}

const dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

// amounts says what a tag leads to, in the same words whoever compressed it: a layer
// that has a diff ID is its form and its raw bytes.
func amounts(t *testing.T, srv *registrytest.Server, repository, reference string) string {
	t.Helper()
	data, mediaType, ok := srv.Registry.Manifest(repository, reference)
	m, err := image.ParseManifest(mediaType, data)
	if !ok || err != nil {
		return fmt.Sprintf("no manifest %s: %v", reference, err)
	}
	text := mediaType
	for _, d := range m.References {
		if strings.Contains(d.MediaType, "manifest.v") {
			text += "\n{" + d.Digest.String() + " " + amounts(t, srv, repository, d.Digest.String()) + "}"
			continue
		}
		blob, _ := srv.Registry.Blob(d.Digest)
		switch {
		case len(d.URLs) > 0:
		case strings.HasSuffix(d.MediaType, "gzip"):
			blob = inflated(gzip.NewReader(bytes.NewReader(blob)))
		case strings.HasSuffix(d.MediaType, "zstd"):
			blob = inflated(zstd.NewReader(bytes.NewReader(blob)))
		}
		text += fmt.Sprintf("\n  %s %s", d.MediaType, digest.FromBytes(blob))
	}
	return text
}

func inflated[R io.Reader](r R, err error) []byte {
	if err != nil {
		return []byte(err.Error())
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return []byte(err.Error())
	}
	return data
}

// Whatever was pushed before, a push leaves what it would have without memory.
func TestMemoryChangesNothing(t *testing.T) {
	t.Parallel()
	all := pushes(t)
	alone := map[string]string{}
	digests := map[string]digest.Digest{}
	for name, second := range all {
		srv := registrytest.Start(t, registrytest.Config{})
		second.push(t, srv, "", "alice/app:2")
		alone[name] = amounts(t, srv, "alice/app", "2")
		data, _, _ := srv.Registry.Manifest("alice/app", "2")
		digests[name] = digest.FromBytes(data)
	}
	for before, first := range all {
		srv := registrytest.Start(t, registrytest.Config{})
		n := 0
		for name, second := range all {
			n++
			repository := fmt.Sprintf("alice/app%d", n)
			for how, repository := range map[string]string{"": repository, ", in one command": repository + "together"} {
				t.Run(before+", then "+name+how, func(t *testing.T) {
					t.Parallel()
					cache := t.TempDir()
					push := func(r remembered, name string) { r.push(t, srv, cache, name) }
					if how != "" {
						push = together(t, srv, cache)
					}
					push(first, repository+":1")
					for _, destination := range []string{repository + ":1", repository + ":2", repository + "other:2"} {
						push(second, destination)
						repository, tag, _ := strings.Cut(destination, ":")
						if got := amounts(t, srv, repository, tag); got != alone[name] && got != alone[second.meant] {
							t.Errorf("%s is\n%s\nwithout memory\n%s", destination, got, alone[name])
						}
						data, _, _ := srv.Registry.Manifest(repository, tag)
						if got := digest.FromBytes(data); first.via == nil && second.via == nil && got != digests[name] && got != digests[second.meant] {
							t.Errorf("%s is %s, without memory %s", destination, got, digests[name])
						}
					}
				})
			}
		}
	}
}

// Every option is known to change what arrives, and then there are pushes that
// differ in it, or not to.
func TestEachOptionIsInTheKeyOrChangesNothing(t *testing.T) {
	t.Parallel()
	changes := []string{"Image", "ImageID", "Platform", "Compression", "ForceCompression", "NoAttestations", "Source", "Via"}
	changesNothing := []string{
		"Tags", "Insecure", "Timeout", "Jobs", "ChunkSize", "Retries", "DryRun", "Verify", "NoClobber", "MountFrom",
		"DiffIDs", "Fetch", "Progress", "Result", "IncludeForeign",
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[registry.PushOptions]()) {
		if !slices.Contains(changes, field.Name) && !slices.Contains(changesNothing, field.Name) {
			t.Errorf("does %s change what arrives? Then it belongs into the key of the cache, and into a push of TestMemoryChangesNothing", field.Name)
		}
	}
}
