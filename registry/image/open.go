package image

import (
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"io"
	"os"
)

// Open opens an image at rest, and tells what it is by looking, never by its
// name: a directory with an OCI layout, with an unpacked docker archive or with
// what skopeo calls dir:, or a tar of any. A tar that is compressed as a whole is a stream, as for [Read];
// so is what is no regular file, such as a named pipe. opts may be nil. The
// caller closes the source.
//
// Errors: [*Error] when it is no image, is malformed, or holds several of
// which opts names none.
func Open(path string, opts *Options) (*Source, error) {
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &Source{name: path}
	if info.IsDir() {
		err = s.openDirectory(path, o)
	} else {
		err = s.openFile(path, info, o)
	}
	if err != nil {
		return nil, errors.Join(named(err, path), s.Close())
	}
	return s, nil
}

// Read reads an image from a stream, once and forward: the output of
// `docker save`, or a tar of an OCI layout, compressed or not. Nothing is read
// before the first call of [Source.Next]. name is what errors call the source.
// opts may be nil.
func Read(r io.Reader, name string, opts *Options) (*Source, error) {
	o, err := opts.checked()
	if err != nil {
		return nil, err
	}
	s := &Source{name: name}
	s.reader = &unopened{r: r, source: s, opts: o}
	return s, nil
}

// checked gives the options to go by.
func (o *Options) checked() (Options, error) {
	if o == nil {
		return Options{}, nil
	}
	if o.Platform != "" {
		if _, err := parsePlatform(o.Platform); err != nil {
			return Options{}, err
		}
	}
	return *o, o.Compression.Validate()
}

// forces reports a compressed layer that is wanted in another form.
func (o Options) forces(e Encoding) bool {
	return o.ForceCompression && e.isCompressed() && string(e) != o.Compression.algorithm()
}

func (s *Source) openDirectory(path string, opts Options) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	s.closer = append(s.closer, root)
	s.reader, err = newAtRest(directory{root, path}, path, opts)
	return err
}

func (s *Source) openFile(path string, info os.FileInfo, opts Options) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	s.closer = append(s.closer, f)
	if !info.Mode().IsRegular() {
		s.reader = &unopened{r: f, source: s, opts: opts}
		return nil
	}
	head, err := readHead(f)
	if err != nil {
		return err
	}
	if detect(head) != EncodingTar {
		s.reader, err = s.openStream(io.MultiReader(bytes.NewReader(head), f), head, opts)
		return err
	}
	c, whole, err := scan(f, info.Size())
	if err != nil {
		return err
	}
	s.reader, err = newAtRest(archive{r: f, catalog: c}, path, opts)
	return explain(err, whole)
}

// unopened is a stream that nobody has read from yet.
type unopened struct {
	r      io.Reader
	source *Source
	opts   Options
}

func (u *unopened) next(ctx context.Context) (*Blob, error) {
	head, err := readHead(u.r)
	if err != nil {
		return nil, unreadable(err)
	}
	opened, err := u.source.openStream(io.MultiReader(bytes.NewReader(head), u.r), head, u.opts)
	if err != nil {
		return nil, err
	}
	u.source.reader = opened
	return opened.next(ctx)
}

func (u *unopened) finish(map[string]Sent) (*Image, error) {
	return nil, fault(nil, "", "was not read")
}

// openStream unpacks a stream that is compressed as a whole, and checks that
// there is a tar.
func (s *Source) openStream(r io.Reader, head []byte, opts Options) (reader, error) {
	encoding := detectWrapping(head)
	if encoding.isCompressed() {
		z, err := decompress(encoding, r)
		if isCut(err) {
			return nil, fault(ErrNotImage, "", "is no valid %s: it ends within its header", encoding)
		}
		if err != nil {
			return nil, fault(ErrNotImage, "", "is no valid %s", encoding).because(err)
		}
		s.closer = append(s.closer, z)
		head, err = readHead(z)
		if _, ok := errors.AsType[bzip2.StructuralError](err); ok {
			return nil, fault(ErrNotImage, "", "is no valid %s", encoding).because(err)
		}
		if err != nil {
			return nil, unreadable(err)
		}
		r = io.MultiReader(bytes.NewReader(head), z)
	}
	if detect(head) != EncodingTar {
		return nil, notTar(head, encoding)
	}
	opened := newStream(r, s.name, opts)
	s.closer = append(s.closer, opened)
	return opened, nil
}

// notTar says what there is instead of a tar.
func notTar(head []byte, encoding Encoding) error {
	is := "is"
	if encoding != EncodingOpaque {
		is = "is compressed with " + string(encoding) + ", and its content is"
	}
	switch format := foreign(head); {
	case len(head) == 0:
		return fault(ErrNotImage, "", "%s empty", is)
	case format != "":
		return fault(ErrNotImage, "", "%s %s", is, format)
	case isJSON(head):
		return fault(ErrNotImage, "", "%s a JSON file, not an image; give the directory or the archive that it belongs to", is)
	}
	return fault(ErrNotImage, "", "%s neither a tar nor a directory with an image in it", is)
}
