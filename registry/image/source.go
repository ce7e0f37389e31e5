package image

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	digest "github.com/opencontainers/go-digest"
)

// Source is an image to be pushed. [Source.Next] gives its blobs; when all
// have been dealt with, [Source.Finish] gives its manifests. Its methods are
// for one goroutine; the blobs of a source at rest may be read by many.
type Source struct {
	name   string
	reader reader
	closer []io.Closer
}

// reader is a source at rest or a stream.
type reader interface {
	next(ctx context.Context) (*Blob, error)
	finish(sent map[string]Sent) (*Image, error)
}

// Next gives the next blob, and [io.EOF] after the last. A source at rest
// gives the largest first, which lets workers finish at about the same time.
// A stream gives what may be of use, in its own order, and says at its end
// whether it was an image.
//
// Errors: [*Error], or the cause of a cancelled context.
func (s *Source) Next(ctx context.Context) (*Blob, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	b, err := s.reader.next(ctx)
	return b, named(err, s.name)
}

// Left gives the blobs that Next has still to give, as far as they are known:
// all of a source at rest, none of a stream.
func (s *Source) Left() []*Blob {
	a, ok := s.reader.(*atRest)
	if !ok {
		return nil
	}
	var blobs []*Blob
	for _, p := range a.left {
		blobs = append(blobs, p.blob(a.contents, a.name))
	}
	return blobs
}

// Manifests are the digests of the manifests and indexes that the image is known to
// have before it is read; nil where only the end of the source tells.
func (s *Source) Manifests() []digest.Digest {
	a, ok := s.reader.(*atRest)
	if !ok || a.plan.bundle != nil || a.plan.anew != nil {
		return nil
	}
	all := []digest.Digest{a.plan.root.Descriptor.Digest}
	for _, child := range a.plan.children {
		all = append(all, child.Descriptor.Digest)
	}
	return all
}

// Becomes gives the digest of what tags will point at, where that is known before a blob
// is read, and is empty elsewhere. became says what a layer that is compressed on its way
// became at an earlier time.
func (s *Source) Becomes(became func(*Blob) (sent Sent, known bool)) digest.Digest {
	a, ok := s.reader.(*atRest)
	if !ok {
		return ""
	}
	sent := map[string]Sent{}
	for _, blob := range s.Left() {
		sent[blob.Name] = Sent{Digest: blob.Digest, Size: blob.Size}
		if blob.Compress {
			if sent[blob.Name], ok = became(blob); !ok {
				return ""
			}
		}
	}
	image, err := a.finish(sent)
	if err != nil {
		return "" // the push will say why
	}
	return image.Root.Descriptor.Digest
}

// Finish gives the manifests. sent says, by [Blob.Name], what became of the
// blobs that Next gave. It is called after Next has returned [io.EOF].
//
// Errors: [*Error].
func (s *Source) Finish(sent map[string]Sent) (*Image, error) {
	image, err := s.reader.finish(sent)
	return image, named(err, s.name)
}

// ID gives the digest under which the content of the image is known before it
// is read: that of a layout's manifest or index, or that of the config of an
// archive with raw layers, which is the image ID of Docker's classic store. It
// is empty for a stream, and for an archive whose layers are compressed: other
// bytes have the same config.
func (s *Source) ID() digest.Digest {
	if a, ok := s.reader.(*atRest); ok {
		return a.plan.id()
	}
	return ""
}

// Notices are sentences for the user about what was chosen for them, as far as that is
// known before the image is read. [Source.Finish] gives all.
func (s *Source) Notices() []string {
	if a, ok := s.reader.(*atRest); ok {
		return a.plan.notices
	}
	return nil
}

// Close releases the source. It does not close the reader given to [Read].
func (s *Source) Close() error {
	var errs []error
	for _, c := range slices.Backward(s.closer) {
		errs = append(errs, c.Close())
	}
	s.closer = nil
	return errors.Join(errs...)
}

// atRest is a source whose files can be opened in any order.
type atRest struct {
	name     string
	contents contents
	plan     *plan
	left     []*part
}

func newAtRest(c contents, name string, opts Options) (*atRest, error) {
	p, err := newPlan(c, opts)
	if err != nil {
		return nil, err
	}
	left := slices.Clone(p.parts)
	slices.SortStableFunc(left, func(a, b *part) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.name, b.name))
	})
	return &atRest{name: name, contents: c, plan: p, left: left}, nil
}

func (a *atRest) next(context.Context) (*Blob, error) {
	if len(a.left) == 0 {
		return nil, io.EOF
	}
	p := a.left[0]
	a.left = a.left[1:]
	return p.blob(a.contents, a.name), nil
}

func (a *atRest) finish(sent map[string]Sent) (*Image, error) { return a.plan.image(sent) }
