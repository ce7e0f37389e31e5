package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Store gives the manifests and the blobs of an image one by one, as a
// registry does. It is used by several goroutines at once.
type Store interface {
	// Manifest reads a manifest or an index, and compares it with its digest.
	Manifest(ctx context.Context, d digest.Digest) (Manifest, error)
	// Blob opens a blob. The caller compares it with its digest, and closes it.
	Blob(ctx context.Context, d digest.Digest) (io.ReadCloser, error)
}

// From makes a source of the image in a store that root begins with: of all
// that an index names, byte for byte, or of the one platform in opts. It reads
// the manifests at once and each blob when it is opened. ctx holds for all of
// it. name is what errors call the source. opts may be nil.
//
// A layer that is kept elsewhere (it has URLs) counts as missing.
//
// Errors: those of the store, and [*Error].
func From(ctx context.Context, store Store, root Manifest, name string, opts *Options) (*Source, error) {
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	s := &shelf{ctx: ctx, store: store, documents: map[string][]byte{}, blobs: map[string]file{}}
	if err := s.begin(ctx, root); err != nil {
		return nil, named(err, name)
	}
	at, err := newAtRest(s, name, o)
	if err != nil {
		return nil, named(err, name)
	}
	return &Source{name: name, reader: at}, nil
}

// shelf are the files of the OCI layout that an image in a store would be. So
// the one reader of layouts decides about every image, wherever it is.
type shelf struct {
	ctx   context.Context //nolint:containedctx // files are opened without one
	store Store

	// mu guards the fields below while the manifests are read.
	mu        sync.Mutex
	documents map[string][]byte
	blobs     map[string]file
	size      int64
}

// begin puts the layout's own files on the shelf, and all manifests from root on.
func (s *shelf) begin(ctx context.Context, root Manifest) error {
	desc := root.Descriptor
	desc.Platform, desc.Annotations = nil, nil
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{desc}})
	if err != nil {
		return err
	}
	layout, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	s.documents[indexFile], s.documents[layoutFile] = index, layout
	return s.add(ctx, root, 0)
}

// manifestsAtOnce bounds how many manifests are asked for side by side.
const manifestsAtOnce = 8

// add puts a manifest on the shelf, what it names, and the manifests below it.
func (s *shelf) add(ctx context.Context, m Manifest, depth int) error {
	name, err := blobName(m.Descriptor.Digest, "manifest")
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return fault(ErrLimit, name, "indexes are nested deeper than %d", maxDepth)
	}
	below, err := s.keep(name, m)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(manifestsAtOnce)
	for _, desc := range below {
		group.Go(func() error {
			child, err := s.store.Manifest(ctx, desc.Digest)
			if err != nil {
				return fmt.Errorf("%s names %s: %w", m.Descriptor.Digest, desc.Digest, err)
			}
			return s.add(ctx, child, depth+1)
		})
	}
	return group.Wait()
}

// keep keeps the bytes of a manifest, notes the blobs that it names, and gives
// the manifests below it that are not kept yet.
func (s *shelf) keep(name string, m Manifest) (below []ocispec.Descriptor, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.documents[name] != nil {
		return nil, nil
	}
	if s.size += int64(len(m.Data)); s.size > maxDocuments {
		return nil, fault(ErrLimit, name, "the manifests of the image are over %d bytes", maxDocuments)
	}
	s.documents[name] = m.Data
	named := map[string]bool{}
	for _, desc := range m.References {
		child, err := blobName(desc.Digest, name)
		switch {
		case err != nil:
			return nil, err
		case kindOf(m.Descriptor.MediaType) == kindIndex && kindOf(desc.MediaType) != kindBlob:
			if s.documents[child] == nil && !named[child] {
				below = append(below, desc)
			}
			named[child] = true
		case len(desc.URLs) == 0:
			s.blobs[child] = file{name: child, size: desc.Size, encoding: encodingOf(desc.MediaType)}
		}
	}
	return below, nil
}

// encodingOf is the encoding of a blob by its media type, as far as it tells.
func encodingOf(mediaType string) Encoding {
	switch {
	case isRawLayer(mediaType):
		return EncodingTar
	case strings.HasSuffix(mediaType, "gzip"):
		return EncodingGzip
	case strings.HasSuffix(mediaType, "zstd"):
		return EncodingZstd
	}
	return EncodingOpaque
}

func (s *shelf) find(name string) (file, error) {
	if data, ok := s.documents[name]; ok {
		return file{name: name, size: int64(len(data))}, nil
	}
	if f, ok := s.blobs[name]; ok {
		return f, nil
	}
	return file{}, fs.ErrNotExist
}

func (s *shelf) open(name string) (io.ReadCloser, error) {
	if data, ok := s.documents[name]; ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return s.store.Blob(s.ctx, digestOf(name))
}
