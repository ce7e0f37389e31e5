package image_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pushed is what a registry would hold after a push.
type pushed struct {
	image *image.Image
	blobs map[digest.Digest][]byte
}

// push does what a push does with a source, without a registry.
func push(ctx context.Context, s *image.Source, compression image.Compression) (*pushed, error) {
	p := &pushed{blobs: map[digest.Digest][]byte{}}
	sent := map[string]image.Sent{}
	for {
		b, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if sent[b.Name], err = p.send(b, compression); err != nil {
			return nil, err
		}
	}
	var err error
	if p.image, err = s.Finish(sent); err != nil {
		return nil, err
	}
	for _, b := range p.image.Blobs {
		if _, err := p.send(b, compression); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *pushed) send(b *image.Blob, compression image.Compression) (image.Sent, error) {
	r, err := b.Open()
	if err != nil {
		return image.Sent{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return image.Sent{}, err
	}
	var s image.Sent
	if b.Compress {
		s.DiffID = digest.FromBytes(data)
		var buf bytes.Buffer
		w, err := compression.NewWriter(&buf)
		if err != nil {
			return s, err
		}
		if _, err := w.Write(data); err != nil {
			return s, err
		}
		if err := w.Close(); err != nil {
			return s, err
		}
		data = buf.Bytes()
	}
	s.Digest, s.Size = digest.FromBytes(data), int64(len(data))
	p.blobs[s.Digest] = data
	return s, nil
}

// complete reports what the manifests name and the registry lacks.
func (p *pushed) lacks() []digest.Digest {
	have := map[digest.Digest]bool{}
	for d := range p.blobs {
		have[d] = true
	}
	for _, m := range p.image.Children {
		have[m.Descriptor.Digest] = true
	}
	var lacks []digest.Digest
	for _, m := range append(p.image.Children, p.image.Root) {
		for _, ref := range m.References {
			if !have[ref.Digest] && !slices.Contains(lacks, ref.Digest) {
				lacks = append(lacks, ref.Digest)
			}
		}
	}
	return lacks
}

// ways are the ways to read the same tar.
func ways(t *testing.T, data []byte) map[string]func(*image.Options) (*image.Source, error) {
	t.Helper()
	path, packed := file(t, data), file(t, gzipped(t, data))
	return map[string]func(*image.Options) (*image.Source, error){
		"file": func(o *image.Options) (*image.Source, error) { return image.Open(path, o) },
		"gzip": func(o *image.Options) (*image.Source, error) { return image.Open(packed, o) },
		"stream": func(o *image.Options) (*image.Source, error) {
			return image.Read(bytes.NewReader(data), "standard input", o)
		},
		"zstd": func(o *image.Options) (*image.Source, error) {
			return image.Read(bytes.NewReader(zstandard(t, data)), "standard input", o)
		},
	}
}

func pushFrom(t *testing.T, open func(*image.Options) (*image.Source, error), o *image.Options) (*pushed, error) {
	t.Helper()
	s, err := open(o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var compression image.Compression
	if o != nil {
		compression = o.Compression
	}
	return push(t.Context(), s, compression)
}

func manifestDigests(p *pushed) []digest.Digest {
	digests := []digest.Digest{p.image.Root.Descriptor.Digest}
	for _, m := range p.image.Children {
		digests = append(digests, m.Descriptor.Digest)
	}
	return digests
}

func TestSameImageEveryWay(t *testing.T) {
	a, b := layerTar(t, "a"), layerTar(t, "b")
	single := newLayout(t)
	single = single.finish(single.image(amd64, "a", "b"))
	multi := newLayout(t)
	m1, m2 := multi.image(amd64, "a"), multi.image(arm64, "a", "b")
	multi = multi.finish(multi.nested(m1, m2, multi.attestation(m1)))
	long := newLayout(t)
	long = long.finish(long.image(amd64, "a"))
	long.put("blobs/sha256/"+string(bytes.Repeat([]byte("x"), 150))+".txt", []byte("a name too long for ustar"))

	for name, test := range map[string]struct {
		data []byte
		opts *image.Options
		// mediaType is that of the root, children their number.
		mediaType string
		children  int
	}{
		"legacy":              {pack(t, legacy(t, a, b)...), nil, dockerManifest, 0},
		"legacy, same layers": {pack(t, legacy(t, a, b, a, a)...), nil, dockerManifest, 0},
		"legacy, zstd":        {pack(t, legacy(t, a, b)...), &image.Options{Compression: image.Compression{Algorithm: image.Zstd}}, ocispec.MediaTypeImageManifest, 0},
		"legacy, none":        {pack(t, legacy(t, a, b)...), &image.Options{Compression: image.Compression{Algorithm: image.None}}, ocispec.MediaTypeImageManifest, 0},
		"legacy, no layers":   {pack(t, legacy(t)...), nil, dockerManifest, 0},
		"classic":             {classic(t, a, b).tar(), nil, dockerManifest, 0},
		"classic, same layer": {classic(t, a, b, a).tar(), nil, dockerManifest, 0},
		"classic, zstd":       {classic(t, a, b).tar(), &image.Options{Compression: image.Compression{Algorithm: image.Zstd}}, ocispec.MediaTypeImageManifest, 0},
		"layout":              {single.tar(), nil, ocispec.MediaTypeImageManifest, 0},
		"layout, index":       {multi.tar(), nil, ocispec.MediaTypeImageIndex, 3},
		"layout, platform":    {multi.tar(), &image.Options{Platform: "linux/arm64"}, ocispec.MediaTypeImageManifest, 0},
		"layout, long names":  {long.tar(), nil, ocispec.MediaTypeImageManifest, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var first []digest.Digest
			for _, way := range slices.Sorted(maps.Keys(ways(t, test.data))) {
				p, err := pushFrom(t, ways(t, test.data)[way], test.opts)
				if err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if lacks := p.lacks(); len(lacks) > 0 || len(p.image.Missing) > 0 {
					t.Errorf("%s: missing %v, lacks %v", way, p.image.Missing, lacks)
				}
				if got := p.image.Root.Descriptor.MediaType; got != test.mediaType {
					t.Errorf("%s: got %s, want %s", way, got, test.mediaType)
				}
				if got := len(p.image.Children); got != test.children {
					t.Errorf("%s: got %d children, want %d", way, got, test.children)
				}
				if first == nil {
					first = manifestDigests(p)
				}
				if diff := cmp.Diff(first, manifestDigests(p)); diff != "" {
					t.Errorf("%s differs: %s", way, diff)
				}
			}
		})
	}
}
