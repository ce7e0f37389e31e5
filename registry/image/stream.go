package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"

	digest "github.com/opencontainers/go-digest"
)

// stream is a tar that is read once, forward. What looks like JSON is kept;
// everything that may be a blob is given away as it passes. What any of it was
// is known at the end.
type stream struct {
	name    string
	opts    Options
	input   *counter
	tar     *tar.Reader
	catalog *catalog
	// kept is the number of bytes of the documents in memory, and last the
	// place in the input where the latest file ends.
	kept, last int64
	// current is the blob that was given last.
	current *once
	// content is what is left of the file that passes, and settle what to do at
	// its end. proof is that of the file.
	content io.Reader
	settle  func()
	proof   *proof
	// err ends the stream: [io.EOF], with a plan, or what was wrong.
	plan *plan
	err  error
}

func newStream(r io.Reader, name string, opts Options) *stream {
	input := &counter{r: r}
	return &stream{name: name, opts: opts, input: input, tar: tar.NewReader(input), catalog: newCatalog()}
}

func (s *stream) next(ctx context.Context) (*Blob, error) {
	if s.current != nil {
		s.current.over = true
		s.current = nil
	}
	for s.err == nil {
		if err := s.skip(ctx); err != nil {
			return nil, err
		}
		var b *Blob
		if b, s.err = s.pass(); b != nil {
			return b, nil
		}
	}
	return nil, s.err
}

// skip passes over what is left of the current file, which may be much.
func (s *stream) skip(ctx context.Context) error {
	for context.Cause(ctx) == nil {
		if s.content == nil {
			return nil
		}
		_, err := io.CopyN(io.Discard, s.content, 1<<20)
		if errors.Is(err, io.EOF) {
			s.content = nil
			s.settle()
			return nil
		}
		if err != nil {
			s.err = unreadable(err)
			return s.err
		}
	}
	return context.Cause(ctx)
}

// pass reads one entry, and gives the blob that it may be.
func (s *stream) pass() (*Blob, error) {
	header, err := s.input.header(s.tar)
	if errors.Is(err, io.EOF) {
		return nil, s.end()
	}
	if err != nil {
		return nil, unreadable(err)
	}
	name, e, err := s.catalog.add(header)
	if err != nil || e == nil {
		return nil, err
	}
	s.last = s.input.n + e.size
	s.content, s.settle = s.tar, func() {}
	if s.catalog.isTwin(name, e) {
		hash := algorithmFor(name).Digester()
		s.content = io.TeeReader(s.tar, hash.Hash())
		s.settle = func() { e.digest = hash.Digest() }
		return nil, nil
	}
	head, err := readHead(s.tar)
	if err != nil {
		return nil, unreadable(err)
	}
	e.encoding = detectFile(head)
	s.content = io.MultiReader(bytes.NewReader(head), s.tar)
	switch isBlob := digestOf(name) != "" || claimOf(name) != ""; {
	case e.encoding == EncodingOpaque && isJSON(head) && e.size <= min(maxDocument, maxDocuments-s.kept):
		return nil, s.keep(name, e, s.content)
	case e.encoding == EncodingOpaque && !isBlob:
		return nil, nil // A version file, a readme.
	case e.encoding.isCompressed() && digestOf(name) == "":
		s.prove(e)
	}
	s.current = &once{r: s.content}
	return s.blob(name, e), nil
}

// prove looks into a compressed layer while it passes. A file at the place of a
// digest, as in a layout, needs no such proof: it is compared with that.
func (s *stream) prove(e *entry) {
	s.proof = newProof(e.encoding)
	s.content = io.TeeReader(s.content, s.proof)
	s.settle = func() {
		s.proof.end()
		e.proof, s.proof = s.proof, nil
	}
}

// Close ends the proof that was begun.
func (s *stream) Close() error {
	if s.proof != nil {
		s.proof.end()
	}
	return nil
}

// keep holds a document in memory.
func (s *stream) keep(name string, e *entry, r io.Reader) error {
	data := make([]byte, e.size)
	if n, err := io.ReadFull(r, data); errors.Is(err, io.ErrUnexpectedEOF) {
		return fault(ErrTruncated, name, "ends after %d of %d bytes", n, e.size)
	} else if err != nil {
		return unreadable(err)
	}
	e.data = data
	s.kept += e.size
	return nil
}

// blob gives away the file that passes. That a plain tar is a layer to be
// compressed is a guess; an artifact or a layout with raw layers proves it
// wrong in the end. Of nothing at the place of a digest an artifact is likelier.
func (s *stream) blob(name string, e *entry) *Blob {
	p := &part{file: file{name: name, size: e.size, encoding: e.encoding}}
	p.desc.Digest = digestOf(name)
	p.compress = e.encoding == EncodingTar && s.opts.Compression.algorithm() != None && (e.size > 0 || p.desc.Digest == "")
	p.anew = s.opts.forces(e.encoding)
	b := p.blob(s, s.name)
	b.Once = true
	current := s.current
	stored := func() (io.ReadCloser, error) {
		if current.over || current.opened {
			return nil, named(fault(nil, name, "was read already, and the source is a stream"), s.name)
		}
		current.opened = true
		return verify(current, s.name, p), nil
	}
	b.open = stored
	if p.anew {
		b.open = func() (io.ReadCloser, error) { return unpacked(stored, name, s.name) }
	}
	return b
}

// once is the file that passes, until the next one does.
type once struct {
	r            io.Reader
	opened, over bool
}

func (o *once) Read(p []byte) (int, error) {
	if o.over {
		return 0, errors.New("read after the stream went on")
	}
	return o.r.Read(p)
}

func (o *once) Close() error {
	o.over = true
	return nil
}

// maxTrailer is how much padding is read after the end of the tar, so that
// what writes the stream can finish, and that a checksum behind it is seen.
const maxTrailer = 1 << 20

// end makes the plan, now that everything is known.
func (s *stream) end() error {
	whole := s.input.n >= padded(s.last)+blockSize
	if _, err := io.CopyN(io.Discard, s.input, maxTrailer); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(err)
	}
	var err error
	if s.plan, err = newPlan(s, s.opts); err != nil {
		return explain(err, whole)
	}
	return io.EOF
}

// explain adds to an incomplete image that its archive is incomplete too.
func explain(err error, whole bool) error {
	if !whole && (errors.Is(err, ErrNotImage) || errors.Is(err, ErrMissing)) {
		return fault(ErrTruncated, "", "the archive ends without its end marker").because(err)
	}
	return err
}

// find implements [contents] for what has passed.
func (s *stream) find(name string) (file, error) {
	target, e, err := s.catalog.lookup(name)
	if err != nil {
		return file{}, err
	}
	known := digestOf(target)
	if e.data != nil {
		known = algorithmFor(target).FromBytes(e.data)
	}
	return file{name: target, size: e.size, encoding: e.encoding, proof: e.proof}, e.compare(target, known)
}

// algorithmFor is that of the digest at whose place a file is.
func algorithmFor(name string) digest.Algorithm {
	if d := digestOf(name); d != "" {
		return d.Algorithm()
	}
	return digest.Canonical
}

// compare compares the twins of a file that has passed with its digest, unless
// that is still unknown.
func (e *entry) compare(name string, known digest.Digest) error {
	for _, twin := range e.twins {
		if twin.size != e.size || known != "" && twin.digest != known {
			return differs(name)
		}
	}
	return nil
}

// open implements [contents] for what was kept.
func (s *stream) open(name string) (io.ReadCloser, error) {
	e := s.catalog.entries[name]
	if e == nil {
		return nil, fs.ErrNotExist
	}
	if e.data == nil {
		return nil, fault(ErrLimit, name, "is no JSON, or too much to be kept of a stream")
	}
	return io.NopCloser(bytes.NewReader(e.data)), nil
}

// finish gives, besides the manifests, the blobs that were kept, and names as
// missing what was not sent as the manifests want it.
func (s *stream) finish(sent map[string]Sent) (*Image, error) {
	if s.plan == nil {
		return nil, fault(nil, "", "was not read to its end")
	}
	image, err := s.plan.image(sent)
	if err != nil {
		return nil, err
	}
	for _, p := range s.plan.parts {
		e := s.catalog.entries[p.name]
		if e != nil && e.data == nil && digestOf(p.name) == "" {
			if err := e.compare(p.name, cmp.Or(sent[p.name].DiffID, sent[p.name].Digest)); err != nil {
				return nil, err
			}
		}
		switch {
		case e == nil || e.data != nil:
			image.Blobs = append(image.Blobs, p.blob(s, s.name))
		case s.plan.bundle != nil, p.anew, sent[p.name].Digest == p.desc.Digest:
		case s.opts.forces(e.encoding):
			return nil, fault(nil, p.name, "is no layer, and was taken for one that gets another compression; push it from a file")
		default:
			image.Missing = append(image.Missing, p.desc)
		}
	}
	return image, nil
}
