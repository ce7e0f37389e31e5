// Package image reads the images that are pushed: an OCI image layout (a directory or a
// tar), a docker-archive in either of its forms, the directory that skopeo calls dir:,
// and the stream of `docker save`. It compresses raw layers and makes the manifests. It
// knows nothing of HTTP or of registries.
//
// # Where to begin
//
// [Open] opens a file or a directory, [Read] a stream, and [From] what another registry
// or store has. Each returns a [Source]. Give that to remote's Client.Push, which does
// the rest.
//
// To read an image yourself, call [Source.Next] until it returns io.EOF: it hands out
// each piece of the image once, as a [Blob]. Then call [Source.Finish] with what became
// of each; it returns the manifests as an [Image]. [List] says which images a file holds
// without opening one, and [ParseManifest] reads a manifest by itself.
//
// # Errors
//
// An [*Error] names the file and what is wrong with it; errors.Is with [ErrNotImage] and
// the errors beside it says what that means. An image is refused where it contradicts
// itself, and never because of the program that wrote it. What is read is compared with
// its digest: a flipped bit is an error.
//
// # Concurrency
//
// The methods of a Source are for one goroutine. The blobs of a source at rest (a file
// or a directory) may be read side by side; those of a stream come one after another.
// The functions are safe for concurrent use.
//
// # Other packages
//
// Package remote pushes a source; its Client.Source opens an image of a registry as one.
//
// # How the files fit together
//
//   - open.go tells the kinds of source apart by looking; encoding.go knows
//     the first bytes of what there is.
//   - contents.go and catalog.go are the files of a source by their names: a
//     directory, a tar at rest.
//   - source.go hands out what a source at rest holds; stream.go what is read
//     once, forward, with the metadata at its end.
//   - indexes.go lists the images that the metadata names, and compares what two
//     indexes say of them; plan.go decides what is pushed of one. A layout is a
//     tree of manifests that are pushed as they are (tree.go); a docker archive
//     is a bundle of layers, and a manifest is made for it (bundle.go).
//   - select.go and platform.go choose among several images.
//   - manifest.go reads and makes the documents themselves; pure, like the
//     choosing. json.go refuses documents that could be read in two ways.
//   - blob.go compares what is read with its digest, and what is inside a
//     compressed layer with its diff ID.
//   - compress.go has the compressors, whose output never depends on the
//     number of processors, and takes back what they did. anew.go makes manifests
//     for layers in another form; join.go makes indexes, of images or without
//     attestations.
//   - errors.go says what is wrong with a source, naming the file and the
//     fault.
package image

import (
	"context"
	"io"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// SaveFunc returns the stream that `docker save REF` would write. The daemon
// is handed to a registry client in this form. The caller closes the stream.
type SaveFunc func(ctx context.Context, ref string) (io.ReadCloser, error)

// Options choose among the images of a source. Nil and the zero value mean:
// the one image that the source holds, with every platform it has.
type Options struct {
	// Name selects an image of a source that holds several. It is one of these:
	// the reference that the archive or layout gives it, "app:1" or
	// "docker.io/library/app:1"; its tag alone, in a layout; the digest of its
	// manifest or config; "app:1@sha256:…", where several have the name; or "@0",
	// its position in index.json or manifest.json.
	Name string
	// Platform selects one image of an index, as "os/arch",
	// "os/arch/variant" or "windows(version)/arch". An older variant serves
	// where the one asked for is not there. Attestations are then left out.
	Platform string
	// Compression is what raw layers of a docker-archive will be sent as; it
	// decides the media types of the manifest. The zero value is gzip.
	Compression Compression
	// ForceCompression sends every layer of an image in that form, those that the
	// source has in another as well. The manifest is made anew, and so are the
	// indexes that name it; config and diff IDs stay. A level does not show, so
	// that a layer of the same algorithm stays as it is.
	ForceCompression bool
	// NoAttestations leaves out what BuildKit puts into an index beside an image:
	// provenance and SBOM. The index is made anew; where one image is left of it,
	// that is what is pushed, as if it had been built without.
	NoAttestations bool
}

// Encoding is how the bytes of a blob are stored in its source.
type Encoding string

// The encodings, told by their first bytes.
const (
	// EncodingOpaque is anything else: a config, an attestation, an artifact.
	EncodingOpaque Encoding = ""
	EncodingTar    Encoding = "tar"
	EncodingGzip   Encoding = "gzip"
	EncodingZstd   Encoding = "zstd"
)

// Blob is one piece of content that has to be in the registry before the
// manifests: a layer, a config, or anything else that a manifest names.
type Blob struct {
	// Name is where the blob is in its source ("blobs/sha256/ab12…",
	// "4f…/layer.tar"). It is unique in the source.
	Name string
	// Digest is the digest of the bytes that Open gives; empty when it is
	// known only after reading.
	Digest digest.Digest
	// Size is the number of bytes that Open gives; 0 of a layer that is taken out
	// of its compression to get another.
	Size int64
	// Encoding is how the bytes are stored.
	Encoding Encoding
	// Compress asks for the blob to be compressed on its way: it is a raw
	// layer whose descriptor in the manifest will be that of the compressed
	// form. Digest, when set, is then the layer's diff ID.
	Compress bool
	// Once says that Open works a single time: the source is a stream. What
	// is not read before the next call of [Source.Next] is passed over.
	Once bool

	open func() (io.ReadCloser, error)
}

// Open returns the bytes of the blob. At their end the reader compares size
// and digest with the blob's, and gives an [*Error] instead of [io.EOF] where
// they differ. The caller closes it.
func (b *Blob) Open() (io.ReadCloser, error) { return b.open() }

// Sent is what became of a blob: the descriptor's parts under which the
// registry now holds it.
type Sent struct {
	// Digest and Size are those of the bytes sent.
	Digest digest.Digest
	Size   int64
	// DiffID is the digest of the raw bytes, set for a blob that was
	// compressed on its way; empty when Digest belongs to the stored bytes.
	DiffID digest.Digest
}

// Manifest is a manifest or an index, byte for byte as it will be pushed.
type Manifest struct {
	Descriptor ocispec.Descriptor
	Data       []byte
	// References are the descriptors that it names: config and layers, or
	// the manifests of an index.
	References []ocispec.Descriptor
}

// Image is what a source amounts to, once its blobs are in the registry.
type Image struct {
	// Root is what a tag will point at.
	Root Manifest
	// Children are the other manifests, each before the index that names it,
	// none twice.
	Children []Manifest
	// Blobs are those that [Source.Next] did not give because their use was
	// known only at the end (the config of a streamed image). They can be
	// opened again and again.
	Blobs []*Blob
	// Missing are descriptors that a manifest names while the source did not
	// give their bytes in that form: left out by the exporter, or compressed
	// on the way where the manifest wants them raw. They have to be found in
	// the registry.
	Missing []ocispec.Descriptor
	// Notices are sentences for the user about what was chosen for them.
	Notices []string
}
