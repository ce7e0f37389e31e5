package model

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Media types.
const (
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerRawLayer = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayer    = dockerRawLayer + ".gzip"
	statement      = "application/vnd.in-toto+json"
)

// picture is an image that somebody has built: what is in it, in every form
// that a tool gives it. Pictures never change and are shared by all histories.
type picture struct {
	name string
	// root is the manifest or index in the form in which a layout and the
	// containerd store keep it.
	root *document
	// members are the images in root, root itself if it is one; the first is
	// for the platform of the daemon's machine.
	members []*member
}

// document is a manifest or an index, byte for byte.
type document struct {
	blob
	mediaType string
	// children are the documents that it names, blobs the other contents.
	children []*document
	blobs    []blob
}

// blob is a piece of content under its digest.
type blob struct {
	digest string
	data   []byte
}

// member is the image of one platform.
type member struct {
	platform string
	document *document
	config   blob
	layers   []*layer
}

// layer is a layer of a picture.
type layer struct {
	// raw is the tar, whose digest is the diff ID.
	raw blob
	// stored is the form in which a layout or the containerd store keeps it.
	stored blob
	suffix string // of the stored form's media type
}

func newBlob(data []byte) blob {
	sum := sha256.Sum256(data)
	return blob{"sha256:" + hex.EncodeToString(sum[:]), data}
}

func (b blob) hex() string { return b.digest[len("sha256:"):] }

// compression is what raw layers are to be sent as: "gzip:9", "zstd", "none".
// Empty is the default, gzip at level 6.
type compression string

func (c compression) algorithm() string {
	algorithm, _, _ := strings.Cut(string(c), ":")
	return cmp.Or(algorithm, "gzip")
}

// isDefault: a daemon that compresses a layer by itself does it likewise.
func (c compression) isDefault() bool { return c == "" || c == "gzip:6" }

// compressed is a raw layer as this project compresses it. The compressors give
// always the same, which registry/image tests; nothing else of the project helps
// to say what is expected.
func (c compression) compressed(raw blob) blob {
	return remember("own "+raw.digest+string(c), func() blob {
		parsed, err := image.ParseCompression(string(c))
		must(err)
		var out bytes.Buffer
		w, err := parsed.NewWriter(&out)
		must(err)
		_, err = w.Write(raw.data)
		must(err, w.Close())
		return newBlob(out.Bytes())
	})
}

// dockerGzip is a raw layer as dockerd compresses it: compress/gzip at its
// default level (moby, pkg/archive).
func dockerGzip(raw blob) blob { return gzipped(raw, gzip.DefaultCompression) }

// builderGzip is a raw layer as another builder compressed it.
func builderGzip(raw blob) blob { return gzipped(raw, gzip.BestSpeed) }

func gzipped(raw blob, level int) blob {
	return remember(fmt.Sprint(level, " ", raw.digest), func() blob {
		var out bytes.Buffer
		z, err := gzip.NewWriterLevel(&out, level)
		must(err)
		_, err = z.Write(raw.data)
		must(err, z.Close())
		return newBlob(out.Bytes())
	})
}

// remember makes each blob once.
func remember(key string, make func() blob) blob {
	if b, known := made.Load(key); known {
		return b.(blob)
	}
	b := make()
	made.Store(key, b)
	return b
}

var made sync.Map // string to blob

// tarOf is a tar of one file.
func tarOf(name string, content []byte) []byte {
	return pack(file{name: name, data: content})
}

// noise is content that cannot be compressed.
func noise(seed uint64, size int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	data := make([]byte, size)
	_, err := r.Read(data)
	must(err)
	return data
}

// The sizes that matter: a relay takes 64 KiB of a compressed layer to tell
// what it is (registry/internal/relay/standin.go), by 32 KiB of it uncompressed.
const (
	long    = 100 << 10
	longer  = 2 << 10
	sizeOfA = 700
)

// contents are the files in the layers, by the letters that name them below: a
// to e are small, L and M are long and begin alike.
var contents = map[byte][]byte{
	'a': noise(1, sizeOfA), 'b': noise(2, 300), 'c': noise(3, 500), 'd': noise(4, 900), 'e': noise(5, 100),
	'L': slices.Concat(noise(6, long), noise(7, longer)), 'M': slices.Concat(noise(6, long), noise(8, longer)),
}

// newLayer is a layer whose stored form is gzip, zstd or raw (the empty algorithm).
func newLayer(letter byte, algorithm string) *layer {
	l := &layer{raw: newBlob(tarOf("file", contents[letter]))}
	switch algorithm {
	case "gzip":
		l.stored, l.suffix = builderGzip(l.raw), "+gzip"
	case "zstd":
		z, err := zstd.NewWriter(nil)
		must(err)
		l.stored, l.suffix = newBlob(z.EncodeAll(l.raw.data, nil)), "+zstd"
	default:
		l.stored = l.raw
	}
	return l
}

// newMember is the image of a platform, with one layer for each letter.
func newMember(architecture, letters, algorithm string, annotations map[string]string) *member {
	m := &member{platform: "linux/" + architecture}
	document := &document{mediaType: ociManifest}
	var diffIDs []string
	var layers []descriptor
	for i := range len(letters) {
		l := newLayer(letters[i], algorithm)
		m.layers = append(m.layers, l)
		diffIDs = append(diffIDs, l.raw.digest)
		layers = append(layers, describe(ociLayer+l.suffix, l.stored))
		document.blobs = append(document.blobs, l.stored)
	}
	m.config = newBlob(encode(map[string]any{
		"os": "linux", "architecture": architecture, "config": map[string]any{"Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
	}))
	document.blobs = append(document.blobs, m.config)
	document.blob = newBlob(encode(manifest{
		SchemaVersion: 2, MediaType: ociManifest, Config: describe(ociConfig, m.config), Layers: layers, Annotations: annotations,
	}))
	m.document = document
	return m
}

// attestation is what BuildKit puts beside an image.
func attestation(m *member) *document {
	config := newBlob([]byte(`{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`))
	said := newBlob(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":%q}`, m.document.digest))
	return &document{
		mediaType: ociManifest, blobs: []blob{config, said},
		blob: newBlob(encode(manifest{
			SchemaVersion: 2, MediaType: ociManifest, Config: describe(ociConfig, config), Layers: []descriptor{describe(statement, said)},
		})),
	}
}

// single is a picture of one image.
func single(name string, m *member) *picture {
	return &picture{name: name, root: m.document, members: []*member{m}}
}

// several is a picture of an index; attested adds an attestation of each image.
func several(name string, attested bool, members ...*member) *picture {
	root := &document{mediaType: ociIndex}
	var entries []descriptor
	add := func(d *document, platform map[string]string, annotations map[string]string) {
		root.children = append(root.children, d)
		entry := describe(d.mediaType, d.blob)
		entry.Platform, entry.Annotations = platform, annotations
		entries = append(entries, entry)
	}
	for _, m := range members {
		add(m.document, map[string]string{"os": "linux", "architecture": m.platform[len("linux/"):]}, nil)
	}
	for _, m := range members {
		if attested {
			add(attestation(m), map[string]string{"os": "unknown", "architecture": "unknown"}, map[string]string{
				"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": m.document.digest,
			})
		}
	}
	root.blob = newBlob(encode(index{SchemaVersion: 2, MediaType: ociIndex, Manifests: entries}))
	return &picture{name: name, root: root, members: members}
}

// pictures are all that the histories know. Their layers are chosen to be taken
// for each other: one content in three encodings under one config, two layers
// that begin alike, an index of as many parts as its first image has.
var pictures = []*picture{
	single("ab", newMember("amd64", "ab", "gzip", nil)),
	single("ac", newMember("amd64", "ac", "gzip", nil)),
	single("a", newMember("amd64", "a", "gzip", nil)),
	single("aa", newMember("amd64", "aa", "gzip", nil)),
	single("Lb", newMember("amd64", "Lb", "gzip", nil)),
	single("Mb", newMember("amd64", "Mb", "gzip", nil)),
	several("ab+ad", false, newMember("amd64", "ab", "gzip", nil), newMember("arm64", "ad", "gzip", nil)),
	several("La+Ma", false, newMember("amd64", "La", "gzip", nil), newMember("arm64", "Ma", "gzip", nil)),
	several("a+ab+e", false, newMember("amd64", "a", "gzip", nil), newMember("arm64", "ab", "gzip", nil), newMember("riscv64", "e", "gzip", nil)),
	several("a attested", true, newMember("amd64", "a", "gzip", nil)),
	several("ac+e attested", true, newMember("amd64", "ac", "gzip", nil), newMember("arm64", "e", "gzip", nil)),
	single("ab in zstd", newMember("amd64", "ab", "zstd", nil)),
	single("ac, raw", newMember("amd64", "ac", "", map[string]string{"org.example.by": "hand"})),
}

// alone is for a platform that no daemon's machine has. Registries have it.
var alone = single("ad for arm64", newMember("arm64", "ad", "gzip", nil))

// known are the pictures that a registry may have from another client.
var known = append(slices.Clone(pictures), alone)

// named is the picture of that name.
func named(name string) *picture {
	return pictures[slices.IndexFunc(pictures, func(p *picture) bool { return p.name == name })]
}

// plain are the pictures that fit the classic store and a docker archive. They have one
// image, and such a place keeps its raw layers and its config.
var plain = pictures[:6]

// alike are the plain pictures that have a raw layer in common with p.
func (p *picture) alike() []*picture {
	has := map[string]bool{}
	for _, m := range p.members {
		for _, l := range m.layers {
			has[l.raw.digest] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(plain), func(other *picture) bool {
		return !slices.ContainsFunc(other.members[0].layers, func(l *layer) bool { return has[l.raw.digest] })
	})
}

// must ends a history that cannot go on for a reason of its own.
func must(errs ...error) {
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
}

// encode is the JSON of a document, without a line end.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	must(err)
	return data
}

// pack is a tar of files.
func pack(files ...file) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644, Typeflag: tar.TypeReg}
		if f.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, f.link
		}
		must(w.WriteHeader(header))
		_, err := w.Write(f.data)
		must(err)
	}
	must(w.Close())
	return out.Bytes()
}

// file is an entry of a tar; link makes it a symbolic link.
type file struct {
	name, link string
	data       []byte
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    map[string]string `json:"platform,omitempty"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

type index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType,omitempty"`
	Manifests     []descriptor      `json:"manifests"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

func describe(mediaType string, b blob) descriptor {
	return descriptor{MediaType: mediaType, Digest: b.digest, Size: len(b.data)}
}
