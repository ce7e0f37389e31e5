package image_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// foreign is an image as another program writes it.
type foreign struct {
	// data is an archive, or else dir a directory.
	data []byte
	dir  string
	name string
	// root is the digest of the manifest that has to arrive; config that of the
	// config of one that is made.
	root, config digest.Digest
	// wrapped says that the data is compressed as a whole already.
	wrapped bool
	// fault is what the refusal says, kind its kind.
	fault string
	kind  error
}

// TestForeignImages reads what other programs write, in every way that it can
// be read. All ways must give the same image.
func TestForeignImages(t *testing.T) {
	for name, test := range foreignImages(t) {
		t.Run(name, func(t *testing.T) {
			sources := map[string]func(*image.Options) (*image.Source, error){}
			if test.dir != "" {
				sources["directory"] = func(o *image.Options) (*image.Source, error) { return image.Open(test.dir, o) }
			} else {
				sources = ways(t, test.data)
			}
			if test.wrapped {
				delete(sources, "gzip")
				delete(sources, "zstd")
			}
			for way, open := range sources {
				p, err := pushFrom(t, open, &image.Options{Name: test.name})
				if test.fault != "" {
					if err == nil || !strings.Contains(err.Error(), test.fault) || !errors.Is(err, test.kind) {
						t.Errorf("%s: got %v, want %q", way, err, test.fault)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", way, err)
					continue
				}
				if got := p.image.Root.Descriptor.Digest; test.root != "" && got != test.root {
					t.Errorf("%s: got %s, want %s", way, got, test.root)
				}
				if got := p.image.Root.References[0].Digest; test.config != "" && got != test.config {
					t.Errorf("%s: got the config %s, want %s", way, got, test.config)
				}
				if lacks := p.lacks(); len(lacks) > 0 && len(p.image.Missing) == 0 {
					t.Errorf("%s: lacks %v", way, lacks)
				}
			}
		})
	}
}

// dockerArchive is one with a manifest.json that names one image.
func dockerArchive(tb testing.TB, config entry, tag string, layers ...entry) []entry {
	tb.Helper()
	var names []string
	entries := []entry{config}
	for _, layer := range layers {
		names = append(names, layer.name)
		entries = append(entries, layer)
	}
	return append(entries, entry{name: "manifest.json", data: mustJSON(tb, []map[string]any{{"Config": config.name, "RepoTags": []string{tag}, "Layers": names}})})
}

func hex(data []byte) string { return digest.FromBytes(data).Encoded() }

func foreignImages(t *testing.T) map[string]foreign {
	t.Helper()
	a, b, empty := layerTar(t, "a"), layerTar(t, "b"), pack(t)
	packed := gzipped(t, a)
	config := configJSON(t, amd64, a)
	twice := configJSON(t, amd64, a, empty, empty)
	id := digest.FromBytes(config)

	l := newLayout(t)
	desc := l.image(amd64, "a")
	good := l.finish(desc)
	without := func(name string) []byte { return pack(t, replace(good.entries(), name, nil)...) }

	labels := []byte(strings.Replace(string(config), `"config":{}`, `"config":{"Labels":{"Architecture":"x86_64","architecture":"x86_64"}}`, 1))
	untyped := []byte(strings.Replace(string(config), `"type":"layers",`, "", 1))
	nothing := configJSON(t, amd64, a, nil)
	rulesOCI := dockerArchive(t, entry{name: "blobs/sha256/" + hex(config), data: config}, "app:1", entry{name: "blobs/sha256/" + hex(packed) + ".tar.gz", data: packed})
	abs := dockerArchive(t, entry{name: "/" + hex(config) + ".json", data: config}, "app:1", entry{name: "/" + hex(a) + ".tar", data: a})
	abs[len(abs)-1].name = "/manifest.json"
	plain := good.tar()

	images := map[string]foreign{
		"rules_oci: a directory of links":         {dir: linkedLayout(t), root: linkedRoot},
		"rules_oci: oci_load":                     {data: pack(t, rulesOCI...), config: id},
		"layer twice, raw":                        {data: pack(t, append([]entry{{name: hex(empty) + ".tar", data: empty}}, dockerArchive(t, entry{name: hex(twice) + ".json", data: twice}, "app:nix", entry{name: hex(a) + ".tar", data: a}, entry{name: hex(empty) + ".tar", data: empty}, entry{name: hex(empty) + ".tar", data: empty})...)...), config: digest.FromBytes(twice)},
		"layer twice, compressed":                 {data: pack(t, append([]entry{{name: "x/layer.tar", data: packed}}, dockerArchive(t, entry{name: "config.json", data: config}, "app:net", entry{name: "x/layer.tar", data: packed})...)...), config: id},
		"blob twice":                              {data: pack(t, append(good.entries(), good.entries()[0])...), root: desc.Digest},
		"document twice":                          {data: pack(t, append(good.entries(), good.entries()...)...), root: desc.Digest},
		"labels that differ in case":              {data: pack(t, dockerArchive(t, entry{name: hex(labels) + ".json", data: labels}, "app:1", entry{name: hex(a) + "/layer.tar", data: a})...), config: digest.FromBytes(labels)},
		"docker save of two IDs, none named":      {data: twoIDs(t, a, b), fault: "there are several images; choose one with --image: sha256:", kind: image.ErrAmbiguous},
		"docker save of two IDs, the first":       {data: twoIDs(t, a, b), name: id.String(), config: id},
		"docker save of two IDs, the second":      {data: twoIDs(t, a, b), name: digest.FromBytes(configJSON(t, amd64, b)).String(), config: digest.FromBytes(configJSON(t, amd64, b))},
		"docker save of two IDs, by position":     {data: twoIDs(t, a, b), name: "@1", config: digest.FromBytes(configJSON(t, amd64, b))},
		"no oci-layout":                           {data: without("oci-layout"), root: desc.Digest},
		"no rootfs.type":                          {data: pack(t, dockerArchive(t, entry{name: hex(untyped) + ".json", data: untyped}, "app:1", entry{name: "1/layer.tar", data: a})...), config: digest.FromBytes(untyped)},
		"zero-byte layer":                         {data: pack(t, dockerArchive(t, entry{name: hex(nothing) + ".json", data: nothing}, "app:1", entry{name: hex(a) + ".tar", data: a}, entry{name: hex(nil) + ".tar"})...), config: digest.FromBytes(nothing)},
		"absolute names":                          {data: pack(t, abs...), config: id},
		"\"manifests\":null beside manifest.json": {data: pack(t, replace(classic(t, a).entries(), "index.json", []byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":null}`))...), config: id},
		"xz":                      {data: storedXZ(plain), wrapped: true, root: desc.Digest},
		"bzip2":                   {data: bzipped(t), wrapped: true, root: bzippedRoot},
		"zstd with a long window": {data: longWindow(t, plain), wrapped: true, root: desc.Digest},
		"dir:":                    {dir: flatDirectory(t, good), root: desc.Digest},
		"dir:, by digest":         {dir: flatDirectory(t, good), name: desc.Digest.String(), root: desc.Digest},
		"dir:, in an archive":     {data: pack(t, flatEntries(t, good)...), root: desc.Digest},
	}
	addContainerd(t, images, a)
	addNamed(t, images)
	return images
}

// linkedRoot is the digest of linkedLayout.
var linkedRoot digest.Digest

// linkedLayout is a layout whose blobs are links to files elsewhere, relative,
// absolute, and through a directory.
func linkedLayout(t *testing.T) string {
	t.Helper()
	l := newLayout(t)
	desc := l.image(amd64, "a", "b")
	linkedRoot = desc.Digest
	dir := l.finish(desc).dir()
	elsewhere := t.TempDir()
	for i, name := range l.order[:3] {
		from, to := filepath.Join(dir, filepath.FromSlash(name)), filepath.Join(elsewhere, filepath.Base(name))
		target, err := filepath.Rel(filepath.Dir(from), to)
		if i == 0 {
			target = to
		}
		if err = errors.Join(err, os.Rename(from, to), os.Symlink(target, from)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// twoIDs is what Engine 29 saves of two images without names: index.json has
// one of them.
func twoIDs(t *testing.T, a, b []byte) []byte {
	t.Helper()
	one, two := classic(t, a), classic(t, b)
	index := strings.NewReplacer("docker.io/library/app:1", "").Replace(string(one.files["index.json"]))
	var entries []entry
	for _, e := range append(one.entries(), two.entries()...) {
		if strings.HasPrefix(e.name, "blobs/") && !slices.ContainsFunc(entries, func(have entry) bool { return have.name == e.name }) {
			entries = append(entries, e)
		}
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(index), &doc); err != nil {
		t.Fatal(err)
	}
	delete(doc["manifests"].([]any)[0].(map[string]any), "annotations")
	var items []map[string]any
	for _, l := range []*layout{one, two} {
		var item []map[string]any
		if err := json.Unmarshal(l.files["manifest.json"], &item); err != nil {
			t.Fatal(err)
		}
		item[0]["RepoTags"] = nil
		layer := item[0]["Layers"].([]any)[0].(string)
		item[0]["LayerSources"] = map[string]any{"sha256:" + filepath.Base(layer): map[string]any{"mediaType": ocispec.MediaTypeImageLayer, "digest": "sha256:" + filepath.Base(layer), "size": len(l.files[layer])}}
		items = append(items, item[0])
	}
	return pack(t, append(entries, entry{name: "index.json", data: mustJSON(t, doc)},
		entry{name: "manifest.json", data: mustJSON(t, items)}, entry{name: "oci-layout", data: []byte(`{"imageLayoutVersion": "1.0.0"}`)})...)
}

// addContainerd adds what the containerd store saves: index.json and
// manifest.json, which has one platform.
func addContainerd(t *testing.T, images map[string]foreign, a []byte) {
	t.Helper()
	config := configJSON(t, amd64, a)
	export := func(annotations map[string]string) (*layout, ocispec.Descriptor) {
		l := newLayout(t)
		m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Annotations: annotations}
		m.SchemaVersion = 2
		m.Layers = []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayer, a)}
		m.Config = l.blob(ocispec.MediaTypeImageConfig, config)
		return l, l.blob(m.MediaType, mustJSON(t, m))
	}
	save := func(l *layout, desc ocispec.Descriptor, tag, config string, layers ...string) []byte {
		l.finish(called(desc, containerdName, "docker.io/library/app:1", refName, "1"))
		l.put("manifest.json", mustJSON(t, []map[string]any{{"Config": config, "RepoTags": []string{tag}, "Layers": layers}}))
		return l.tar()
	}
	configName, layerName := blobPath(digest.FromBytes(config)), blobPath(digest.FromBytes(a))

	l, desc := export(map[string]string{"org.opencontainers.image.revision": "abc"})
	images["containerd: raw layers, annotations"] = foreign{data: save(l, desc, "app:1", configName, layerName), root: desc.Digest}
	l, desc = export(nil)
	images["containerd: raw layers"] = foreign{data: save(l, desc, "app:1", configName, layerName), root: desc.Digest}
	l, desc = export(nil)
	arm := l.image(arm64, "b")
	index := l.nested(desc, arm)
	images["containerd: an index"] = foreign{data: save(l, index, "app:1", configName, layerName), root: index.Digest}

	l, desc = export(nil)
	images["indexes disagree: layers"] = foreign{data: save(l, desc, "app:1", configName, blobPath(digest.FromString("other"))), fault: "but the manifest of the image names", kind: image.ErrInvalid}
	l, desc = export(nil)
	images["indexes disagree: number of layers"] = foreign{data: save(l, desc, "app:1", configName, layerName, layerName), fault: "names 2 layers of the image", kind: image.ErrInvalid}
	l, desc = export(nil)
	other := configJSON(t, arm64, a)
	l.put(blobPath(digest.FromBytes(other)), other)
	images["indexes disagree: image"] = foreign{data: save(l, desc, "app:2", blobPath(digest.FromBytes(other)), layerName), fault: "does not name the config", kind: image.ErrInvalid}
	l, desc = export(nil)
	second := l.image(arm64, "b")
	l.finish(called(desc, containerdName, "docker.io/library/app:1"), called(second, containerdName, "docker.io/library/app:2"))
	l.put("manifest.json", mustJSON(t, []map[string]any{{"Config": configName, "RepoTags": []string{"app:2"}, "Layers": []string{layerName}}}))
	images["indexes disagree: names"] = foreign{data: l.tar(), name: "app:2", fault: `gives the name "app:2" to another image than index.json does`, kind: image.ErrUnsafe}
}

// addNamed adds sources with several images, of which one is asked for.
func addNamed(t *testing.T, images map[string]foreign) {
	t.Helper()
	l := newLayout(t)
	one, two := l.image(amd64, "a"), l.image(amd64, "b")
	same := l.finish(called(one, refName, "v1"), called(two, refName, "v1")).tar()
	images["two of one name"] = foreign{data: same, fault: "choose one with --image: v1@" + one.Digest.String() + ", v1@" + two.Digest.String(), kind: image.ErrAmbiguous}
	images["two of one name, asked for"] = foreign{data: same, name: "v1", fault: `there are several images "v1"; choose one with --image: v1@`, kind: image.ErrAmbiguous}
	images["two of one name, by digest"] = foreign{data: same, name: "v1@" + two.Digest.String(), root: two.Digest}
	images["two of one name, by position"] = foreign{data: same, name: "@1", root: two.Digest}
	images["by digest, without a name"] = foreign{data: same, name: "@" + two.Digest.String(), root: two.Digest}
	images["by the digits alone"] = foreign{data: same, name: two.Digest.Encoded(), root: two.Digest}
	images["by another's name and digest"] = foreign{data: same, name: "v2@" + two.Digest.String(), fault: "there is no image", kind: image.ErrNoMatch}
	images["by position, past the last"] = foreign{data: same, name: "@2", fault: `there is no image "@2"`, kind: image.ErrNoMatch}
	images["by image ID"] = foreign{data: same, name: digest.FromBytes(configJSON(t, amd64, layerTar(t, "b"))).String(), root: two.Digest}

	cosign := newLayout(t)
	signed, signatures := cosign.image(amd64, "a"), cosign.image(amd64, "b")
	signed.Platform, signatures.Platform = nil, nil
	images["cosign save"] = foreign{
		data:  cosign.finish(called(signed, "kind", "dev.cosignproject.cosign/image"), called(signatures, "kind", "dev.cosignproject.cosign/sigs")).tar(),
		fault: "choose one with --image: " + signed.Digest.String() + " (dev.cosignproject.cosign/image), " + signatures.Digest.String() + " (dev.cosignproject.cosign/sigs)", kind: image.ErrAmbiguous,
	}
}

// flatEntries are the files of skopeo's dir:, of the one image of a layout.
func flatEntries(t *testing.T, l *layout) []entry {
	t.Helper()
	var index ocispec.Index
	if err := json.Unmarshal(l.files["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	root := blobPath(index.Manifests[0].Digest)
	entries := []entry{{name: "version", data: []byte("Directory Transport Version: 1.1\n")}, {name: "manifest.json", data: l.files[root]}}
	for _, e := range l.entries() {
		if strings.HasPrefix(e.name, "blobs/") && e.name != root {
			entries = append(entries, entry{name: filepath.Base(e.name), data: e.data})
		}
	}
	return entries
}

func flatDirectory(t *testing.T, l *layout) string {
	t.Helper()
	dir := t.TempDir()
	for _, e := range flatEntries(t, l) {
		write(t, filepath.Join(dir, e.name), e.data)
	}
	return dir
}

// Of a dir: with all platforms each has its manifest in a file of its own.
func TestFlatDirectoryOfIndex(t *testing.T) {
	l := newLayout(t)
	one, two := l.image(amd64, "a"), l.image(arm64, "b")
	index := l.nested(one, two)
	l.finish(index)
	dir := t.TempDir()
	for _, e := range flatEntries(t, l) {
		if e.name == one.Digest.Encoded() || e.name == two.Digest.Encoded() {
			e.name += ".manifest.json"
		}
		write(t, filepath.Join(dir, e.name), e.data)
	}
	open := func(o *image.Options) (*image.Source, error) { return image.Open(dir, o) }
	p, err := pushFrom(t, open, nil)
	if err != nil || p.image.Root.Descriptor.Digest != index.Digest || len(p.image.Children) != 2 || len(p.lacks()) > 0 {
		t.Errorf("got %+v, %v", p, err)
	}
	p, err = pushFrom(t, open, &image.Options{Platform: "linux/arm64"})
	if err != nil || p.image.Root.Descriptor.Digest != two.Digest || len(p.lacks()) > 0 {
		t.Errorf("got %+v, %v", p, err)
	}
}

// A link that leads out of a directory is followed to the bytes of a digest,
// and to nothing else: a config of no stated digest would be somebody's secret.
func TestLinksOutOfDirectory(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "config.json")
	write(t, secret, []byte(`{"auths":{"example.com":{"auth":"c2VjcmV0"}}}`))
	dir := t.TempDir()
	write(t, filepath.Join(dir, "manifest.json"), []byte(`[{"Config":"config.json","Layers":[]}]`))
	if err := os.Symlink(secret, filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	_, err := image.Open(dir, nil)
	if !errors.Is(err, image.ErrUnsafe) {
		t.Errorf("got %v, want %v", err, image.ErrUnsafe)
	}

	l := newLayout(t)
	layoutDir := l.finish(l.image(amd64, "a")).dir()
	layer := filepath.Join(layoutDir, filepath.FromSlash(l.order[0]))
	write(t, secret, bytes.Repeat([]byte("x"), len(l.files[l.order[0]])))
	if err := errors.Join(os.Remove(layer), os.Symlink(secret, layer)); err != nil {
		t.Fatal(err)
	}
	_, err = pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(layoutDir, o) }, nil)
	if !errors.Is(err, image.ErrDigest) {
		t.Errorf("got %v, want %v", err, image.ErrDigest)
	}
}

// Every bit of a compressed layer of a docker archive is compared, however the
// layer is called and read, and so is every bit of a config that is called by
// its digest.
func TestFlippedBits(t *testing.T) {
	a := layerTar(t, "a")
	config := configJSON(t, amd64, a)
	for name, packed := range map[string][]byte{"gzip": gzipped(t, a), "zstd": zstandard(t, a)} {
		for writer, names := range map[string][2]string{
			"kaniko, crane, ko": {"sha256:" + hex(config), hex(packed) + ".tar.gz"},
			"jib":               {"config.json", hex(packed) + ".tar.gz"},
			"rules_oci":         {"blobs/sha256/" + hex(config), "blobs/sha256/" + hex(packed) + ".tar.gz"},
			"blobs":             {"blobs/sha256/" + hex(config), "blobs/sha256/" + hex(packed)},
			"by diff ID":        {hex(config) + ".json", hex(a) + ".tar.gz"},
		} {
			t.Run(name+", "+writer, func(t *testing.T) {
				archive := func(config, layer []byte) []byte {
					return pack(t, dockerArchive(t, entry{name: names[0], data: config}, "app:1", entry{name: names[1], data: layer})...)
				}
				both(t, archive(config, packed), true)
				for i := 0; i < 8*len(packed); i += 1 + i%5 {
					if writer == "by diff ID" && !alters(packed, a, i) {
						continue // Nothing states what the compressed bytes are.
					}
					both(t, archive(config, flip(packed, i)), false)
				}
				for i := 0; i < 8*len(config) && writer != "jib"; i += 7 {
					both(t, archive(flip(config, i), packed), false)
				}
			})
		}
	}
}

func flip(data []byte, bit int) []byte {
	data = bytes.Clone(data)
	data[bit/8] ^= 1 << (bit % 8)
	return data
}

// alters reports whether a flipped bit changes what is inside.
func alters(packed, raw []byte, bit int) bool {
	c := image.Compression{Algorithm: image.Gzip}
	if packed[0] == 0x28 {
		c.Algorithm = image.Zstd
	}
	r, err := c.NewReader(io.NopCloser(bytes.NewReader(flip(packed, bit))))
	if err != nil {
		return true
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	return err != nil || !bytes.Equal(got, raw)
}

// both reads data as a file and as a stream, and compares what becomes of it.
func both(t *testing.T, data []byte, accepted bool) {
	t.Helper()
	path := file(t, data)
	_, errFile := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(path, o) }, nil)
	_, errStream := pushFrom(t, func(o *image.Options) (*image.Source, error) {
		return image.Read(bytes.NewReader(data), "standard input", o)
	}, nil)
	if (errFile == nil) != accepted || (errStream == nil) != accepted {
		t.Fatalf("accepted should be %t: the file: %v; the stream: %v", accepted, errFile, errStream)
	}
}

// Two files of one name that differ are refused, whichever comes first and
// whether the image needs them for something else than bytes.
func TestTwins(t *testing.T) {
	a, b := layerTar(t, "a"), layerTar(t, "b")
	l := newLayout(t)
	desc := l.image(amd64, "a")
	good := l.finish(desc).entries()
	old := legacy(t, a)
	for name, test := range map[string]struct {
		entries []entry
		twin    entry
	}{
		"raw layer":        {old, entry{name: old[2].name, data: b}},
		"shorter layer":    {old, entry{name: old[2].name, data: a[:1024]}},
		"link":             {old, entry{name: old[2].name, link: "x"}},
		"compressed layer": {dockerArchive(t, entry{name: "config.json", data: configJSON(t, amd64, a)}, "app:1", entry{name: "x.tar", data: gzipped(t, a)}), entry{name: "x.tar", data: gzipped(t, b)}},
		"blob":             {good, entry{name: good[0].name, data: changed(good[0].data)}},
		"config":           {good, entry{name: good[1].name, data: changed(good[1].data)}},
		"index":            {good, entry{name: "./index.json", data: indexJSON(t, desc, desc)}},
		"JSON or not":      {good, entry{name: "index.json", data: []byte("text")}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, pack(t, test.entries...), true)
			both(t, pack(t, append(slices.Clone(test.entries), test.twin)...), false)
			both(t, pack(t, append([]entry{test.twin}, test.entries...)...), false)
		})
	}
	both(t, pack(t, append(good, entry{name: "readme", data: a}, entry{name: "readme", data: b})...), true)
}

// A source that is cut off anywhere is refused from file and stream, and not
// with the error of a connection that broke off: trying again does not help.
func TestCutOff(t *testing.T) {
	a := layerTar(t, "a")
	config, packed := configJSON(t, amd64, a), gzipped(t, a)
	short := packed[:len(packed)-9]
	archive := pack(t, dockerArchive(t, entry{name: hex(config) + ".json", data: config}, "app:1", entry{name: "a.tar.gz", data: packed})...)
	sources := map[string][]byte{"compressed layer": pack(t, dockerArchive(t, entry{name: hex(config) + ".json", data: config}, "app:1", entry{name: "a.tar.gz", data: short})...)}
	for name, whole := range map[string][]byte{"tar": archive[:len(archive)/2], "gzip": gzipped(t, archive), "zstd": zstandard(t, archive), "xz": storedXZ(archive), "bzip2": bzipped(t)} {
		for i := 1; i < 12; i++ {
			sources[fmt.Sprintf("%s, %d/12", name, i)] = whole[:len(whole)*i/12]
		}
		sources[name+", in the header"] = whole[:3]
	}
	for name, data := range sources {
		t.Run(name, func(t *testing.T) {
			both(t, data, false)
			path := file(t, data)
			_, errFile := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(path, o) }, nil)
			_, errStream := pushFrom(t, func(o *image.Options) (*image.Source, error) {
				return image.Read(bytes.NewReader(data), "standard input", o)
			}, nil)
			for _, err := range []error{errFile, errStream} {
				if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v, which passes for a connection that broke off", err)
				}
			}
		})
	}
}

// A compressed layer whose name is the digest of its bytes, and whose content is
// not what the config says.
func TestOtherContent(t *testing.T) {
	a, b := layerTar(t, "a"), layerTar(t, "b")
	config, packed := configJSON(t, amd64, a), gzipped(t, b)
	data := pack(t, dockerArchive(t, entry{name: hex(config) + ".json", data: config}, "app:1", entry{name: hex(packed) + ".tar.gz", data: packed})...)
	both(t, data, false)
	path := file(t, data)
	_, err := pushFrom(t, func(o *image.Options) (*image.Source, error) { return image.Open(path, o) }, nil)
	if !errors.Is(err, image.ErrDigest) || !strings.Contains(err.Error(), "the digest of its content is "+digest.FromBytes(b).String()) {
		t.Errorf("got %v", err)
	}

	same := configJSON(t, amd64, a, b)
	data = pack(t, dockerArchive(t, entry{name: hex(same) + ".json", data: same}, "app:1", entry{name: "x.tar.gz", data: gzipped(t, a)}, entry{name: "x.tar.gz", data: gzipped(t, a)})...)
	both(t, data, false)
}

// storedXZ is an xz file whose blocks hold data as it is, by the .xz file format
// and LZMA2.
func storedXZ(data []byte) []byte {
	le := binary.LittleEndian
	sum := func(b []byte) []byte { return le.AppendUint32(bytes.Clone(b), crc32.ChecksumIEEE(b)) }
	number := func(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }
	flags := []byte{0, 1} // the check is CRC32
	out := append([]byte("\xfd7zXZ\x00"), sum(flags)...)
	start := len(out)
	out = append(out, sum([]byte{2, 0, 0x21, 1, 22, 0, 0, 0})...) // LZMA2 with a dictionary of 8 MiB
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1<<16)
		out = append(out, 1, byte((n-1)>>8), byte(n-1))
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	out = append(out, 0)
	unpadded := len(out) - start + 4
	out = append(out, make([]byte, -(len(out)-start)&3)...)
	out = le.AppendUint32(out, crc32.ChecksumIEEE(data))
	index := number(number([]byte{0, 1}, unpadded), len(data))
	index = sum(append(index, make([]byte, -len(index)&3)...))
	out = append(out, index...)
	footer := append(le.AppendUint32(nil, uint32(len(index)/4-1)), flags...)
	return append(append(le.AppendUint32(out, crc32.ChecksumIEEE(footer)), footer...), "YZ"...)
}

// bzipped is the layout of one layer as bzip2 compresses it, for which there is
// no compressor in Go's library.
func bzipped(t *testing.T) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(bzippedLayout)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	bzippedRoot   = "sha256:f06c3794da31e484e94210008a2c67f51e4777779438fe613ea483ea0b98f431"
	bzippedLayout = "QlpoOTFBWSZTWcAHPgQAAjB////eHkTUf//+CBxlGv/333oYjAEEbAAFIhAACAoIQABI0AMvUAAkIMoU9JqPInpBkzUB6nqeo00A" +
		"aDTQAaA9QDQGgekZNqHA0DQDQNDQAaGQ00ANNANAAGQxAAaHA0DQDQNDQAaGQ00ANNANAAGQxAAaHA0DQDQNDQAaGQ00ANNANAAG" +
		"QxAAaCSQQaDRAEp5NR7Sj0g9BGaj9UAaDag9QPUDBHqabU0ejOTsvPEVui4ojvS2QlKJiQEtAgAYSGkG5m0hIpQkNEQQwicboUaU" +
		"PRISTVlL3gjuMjp1jkeCPb8vD5PfWebIZtVImAcTyr11HBD02htr6gAyHylQQFHw7EovpJPqKomc5hnMzMwMO+1h6fu48fa823r5" +
		"Q2i9pvmGJPcv0fHM9DWsudENOZo2aloWpFiOyibgQd5m6yHAg3mBBtOZm5Yo5UMCMTf9QqKyJ32VpgP4znIEKyrnGE6RrPr4aTkg" +
		"u6O5vvdix4A4GmXmY4rTmjiMTpgZjYaIwcXDyvQWymOsWcvZKgpJMtBQOL3F9I8pGL42Z5O+Vqi7vPJEk4mOIkGuGijF5jQQvKsh" +
		"WPKUZHWkxhjAcYGkiWkySoc1g66geXIJFUi6BLpowfQsxepmDiJZgYSzG4imkhiUloPKZ0lJkIzIkV32IkSES4YyGuJYPoLitVkR" +
		"jNhSXD7SRQWxHF5SWFVBVUTz5TSVTCkzhViYGAOLtYlNmZJhg/rQjy+r1fDtyy6PPpRI43DtS7ROqCMpqLA8SWo3SJA3B3W1kTX2" +
		"0e8BeMmRkEx5KUMH7zJHAON8oHH/+fxdCzGJiVmwgtRBxaODQPOEeesaEPNhyFwtB3JHIiZfuEM5gRJkCkZFYS4PaWN4GyapF4Mb" +
		"VgSQoOBc4UAgTw8L9gTSHXxZNQtFsti9lNOOTpYcEAYElTq322CkLE8B04ASaIKDYxyYBGVHXR0Vp9yZbEcFDmKlajf3R6jaHpuq" +
		"P5ej2XnEt70jKKojmGRxIW1ERygnGK5aUTRADSrM9hLYUMJ+CLUi9j/DqqoiiTzU7VblXVUcKYKEy6USRahmyIZkZchhNkQylczp" +
		"RQbxWi9FhaWI8xF1KOXDRQiEJCR+jXmUoacha7e5Ys/exFaftIpx54NG3HG5zxybiI4m1Ex1k/4u5IpwoSGADnwI"
)

func longWindow(t *testing.T, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = io.Copy(w, bytes.NewReader(data)); err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
