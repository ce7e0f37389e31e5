package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	"github.com/therootcompany/xz"
)

// What bounds the table of contents of a tar. An image has a few files for each
// layer, and at most 127 layers. A whole file system that somebody took for an image
// has far more files.
const (
	maxEntries = 1 << 16
	// maxNames is for all names and links together, in bytes.
	maxNames = 16 << 20
	// maxHeader is for what describes one file, in bytes: extended headers may
	// follow each other without end.
	maxHeader = 1 << 20
	// maxFile is the size of a file.
	maxFile = 1 << 40
)

// catalog is the table of contents of a tar.
type catalog struct {
	// entries are the files and links, by clean names.
	entries map[string]*entry
	// headers counts all that there were, and names their bytes.
	headers, names int
}

func newCatalog() *catalog { return &catalog{entries: map[string]*entry{}} }

// entry is one file or link of a tar.
type entry struct {
	size int64
	// link is the clean name of what the entry links to; empty for a file.
	link string
	// offset is where the bytes begin in a tar at rest.
	offset int64
	// encoding and data are about a stream that has passed: what the file was
	// seen to be, and the bytes of a document that was kept.
	encoding Encoding
	data     []byte
	// proof is that of a compressed layer that has passed, and digest that of a
	// twin.
	proof  *proof
	digest digest.Digest
	// twins are the further files of the same name. Some writers add a layer
	// each time that the image mentions it.
	twins []*entry
	// torn says that the name stands for a file and a link, or for two links.
	torn bool
}

// add enters the header of a file or link, and gives the entry of a regular
// file, which is that of a twin if there was one of the name before.
func (c *catalog) add(header *tar.Header) (string, *entry, error) {
	c.headers++
	c.names += len(header.Name) + len(header.Linkname)
	if c.headers > maxEntries || c.names > maxNames {
		return "", nil, fault(ErrLimit, "", "more than %d files, or than %d MiB of names, are no image archive", maxEntries, maxNames>>20)
	}
	if header.Typeflag == tar.TypeDir || header.Typeflag == tar.TypeXGlobalHeader {
		return "", nil, nil
	}
	name, err := cleanName(header.Name)
	switch {
	case err != nil:
		return "", nil, fault(ErrUnsafe, header.Name, "%v", err)
	case header.Size > maxFile:
		return "", nil, fault(ErrLimit, name, "%d bytes long, as no layer is", header.Size)
	}
	e := &entry{size: header.Size}
	switch header.Typeflag {
	case tar.TypeSymlink, tar.TypeLink:
		e.link = linkTarget(name, header)
		c.enter(name, e)
		return name, nil, nil
	case tar.TypeReg, tar.TypeGNUSparse:
		if sparse(header) {
			return "", nil, fault(ErrInvalid, name, "is stored as a sparse file; pack the archive without --sparse")
		}
		c.enter(name, e)
		return name, e, nil
	}
	if mode := header.FileInfo().Mode(); mode.Type() != 0 {
		return "", nil, fault(ErrNotImage, name, "is a %s, which no image archive has", typeOf(mode))
	}
	return "", nil, fault(ErrNotImage, name, "is of the type %q, which no image archive has", header.Typeflag)
}

// enter adds an entry under its name. Whether another of that name says the same
// is found out when somebody looks for it.
func (c *catalog) enter(name string, e *entry) {
	first := c.entries[name]
	switch {
	case first == nil:
		c.entries[name] = e
	case first.link != e.link:
		first.torn = true
	case e.link == "":
		first.twins = append(first.twins, e)
	}
}

// isTwin reports that there was an entry of that name before.
func (c *catalog) isTwin(name string, e *entry) bool { return c.entries[name] != e }

// differs is what is wrong with two files of one name that are not the same:
// some readers take the first and some the last.
func differs(name string) error {
	return fault(ErrUnsafe, name, "is in the archive twice, with different content")
}

// linkTarget is the name in the archive that a link means, in the form "../x"
// where it leads outside. A symbolic link starts at its own directory, a hard
// link at the top.
func linkTarget(name string, header *tar.Header) string {
	if header.Typeflag == tar.TypeLink {
		return path.Clean(strings.TrimLeft(header.Linkname, "/"))
	}
	if strings.HasPrefix(header.Linkname, "/") {
		return path.Clean(header.Linkname)
	}
	return path.Join(path.Dir(name), header.Linkname) //nolint:gosec // G305: a key of the catalog, checked by lookup; nothing is extracted
}

// sparse reports a file that the archive holds without its zeroes, so that its size
// is not that of its bytes in the archive.
func sparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

// lookup finds a regular file, through one link where need be. Archives link a
// layer to another layer and never further: a second link is refused, and with
// it every loop.
func (c *catalog) lookup(name string) (string, *entry, error) {
	e := c.entries[name]
	if e == nil {
		return "", nil, fs.ErrNotExist
	}
	if e.torn {
		return "", nil, differs(name)
	}
	if e.link == "" {
		return name, e, nil
	}
	if strings.HasPrefix(e.link, "/") {
		return "", nil, fault(ErrUnsafe, name, "links to %q: the path is absolute", clip(e.link))
	}
	if _, err := cleanName(e.link); err != nil {
		return "", nil, fault(ErrUnsafe, name, "links to %q: %v", clip(e.link), err)
	}
	target := c.entries[e.link]
	switch {
	case target != nil && target.torn:
		return "", nil, differs(e.link)
	case target == nil:
		return "", nil, fault(ErrMissing, name, "links to %q, which is not in the archive", clip(e.link))
	case target.link != "":
		return "", nil, fault(ErrUnsafe, name, "links to %q, which is a link itself", clip(e.link))
	}
	return e.link, target, nil
}

// archive is a tar at rest: its files are read where they lie, many at a time.
type archive struct {
	r       io.ReaderAt
	catalog *catalog
}

func (a archive) find(name string) (file, error) {
	target, e, err := a.catalog.lookup(name)
	if err != nil {
		return file{}, err
	}
	for _, twin := range e.twins {
		same, err := sameBytes(a.section(e), a.section(twin))
		if err != nil {
			return file{}, fault(nil, target, "cannot be read").because(err)
		}
		if !same {
			return file{}, differs(target)
		}
	}
	e.twins = nil // they need not be looked at again
	head, err := readHead(a.section(e))
	if err != nil {
		return file{}, fault(nil, target, "cannot be read").because(err)
	}
	return file{name: target, size: e.size, encoding: detectFile(head)}, nil
}

// sameBytes compares two files of an archive.
func sameBytes(a, b *io.SectionReader) (bool, error) {
	if a.Size() != b.Size() {
		return false, nil
	}
	left, right := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(a, left)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err == nil, err
		}
		if _, err := io.ReadFull(b, right[:n]); err != nil {
			return false, err
		}
		if !bytes.Equal(left[:n], right[:n]) {
			return false, nil
		}
	}
}

func (a archive) open(name string) (io.ReadCloser, error) {
	e := a.catalog.entries[name]
	if e == nil {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(a.section(e)), nil
}

func (a archive) section(e *entry) *io.SectionReader {
	return io.NewSectionReader(a.r, e.offset, e.size)
}

// scan reads the headers of a tar of the given size, and nothing else. It
// reports whether the tar has its end, two blocks of zeros, which some writers
// leave out.
func scan(r io.ReaderAt, size int64) (c *catalog, whole bool, err error) {
	section := io.NewSectionReader(r, 0, size)
	input := &counter{r: section}
	headers := tar.NewReader(struct {
		io.Reader
		io.Seeker
	}{input, section})
	c = newCatalog()
	for end := int64(0); ; {
		header, err := input.header(headers)
		if errors.Is(err, io.EOF) {
			return c, size >= padded(end)+blockSize, nil
		}
		if err != nil {
			return nil, false, unreadable(err)
		}
		name, e, err := c.add(header)
		if err != nil {
			return nil, false, err
		}
		if end, err = section.Seek(0, io.SeekCurrent); err != nil {
			return nil, false, err
		}
		if e == nil {
			continue
		}
		if e.offset = end; e.size > size-end {
			return nil, false, fault(ErrTruncated, name, "%d bytes long, but the archive ends after %d of them", e.size, size-end)
		}
		end += e.size
	}
}

// counter counts the bytes read, and bounds those of a header.
type counter struct {
	r io.Reader
	n int64
	// most is what n may come to while a header is read; 0 is no bound.
	most int64
}

func (c *counter) Read(p []byte) (int, error) {
	if c.most > 0 && c.n >= c.most {
		return 0, fault(ErrLimit, "", "a header of more than %d KiB is in no image archive", maxHeader>>10)
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// header reads the next header of t, which reads from c, and to which nothing
// is left of the file before but what it can seek over.
func (c *counter) header(t *tar.Reader) (*tar.Header, error) {
	c.most = c.n + maxHeader
	defer func() { c.most = 0 }()
	return t.Next()
}

// blockSize is that of a tar; files are padded to it.
const blockSize = 512

func padded(size int64) int64 { return (size + blockSize - 1) &^ (blockSize - 1) }

// unreadable is an archive that cannot be read on.
func unreadable(err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault(ErrTruncated, "", "the archive ends in the middle of a file")
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fault(ErrLimit, "", "needs a zstd window of more than %d MiB; compress it again without --long", maxWindow>>20)
	case errors.Is(err, xz.ErrMemlimit):
		return fault(ErrLimit, "", "needs an xz dictionary of more than %d MiB; compress it again with a level of xz alone", maxDictionary>>20)
	case errors.Is(err, tar.ErrHeader):
		return fault(ErrNotImage, "", "the archive is damaged: a tar header is not valid")
	}
	return fault(nil, "", "cannot be read").because(err)
}
