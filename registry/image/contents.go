package image

import (
	_ "crypto/sha512" // a digest that layouts may use; package digest knows only what is linked
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	digest "github.com/opencontainers/go-digest"
)

// maxDocument bounds a manifest, an index or a config that has to be
// understood. Spec: registries accept manifests of at least 4 MiB; more is
// portable nowhere.
const maxDocument = 4 << 20

// maxDocuments bounds all documents of one image together, in bytes.
const maxDocuments = 32 << 20

// contents are the files of a source, by their slash-separated names. A
// directory and a tar at rest can open them all; a stream that has passed
// still knows what there was, and can open what it kept.
type contents interface {
	// find says what there is under a name, links followed once.
	// [fs.ErrNotExist]: nothing.
	find(name string) (file, error)
	// open opens a file by the name that find gave.
	open(name string) (io.ReadCloser, error)
}

// file is a regular file of a source.
type file struct {
	// name is its own name, not that of a link to it.
	name     string
	size     int64
	encoding Encoding
	// proof is that of a compressed layer that has passed in a stream.
	proof *proof
}

// document reads a file that has to be understood.
func document(c contents, name string) ([]byte, error) {
	f, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if f.size > maxDocument {
		return nil, fault(ErrLimit, name, "%d bytes are too many for metadata, %d are allowed", f.size, maxDocument)
	}
	r, err := c.open(f.name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, f.size+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fault(nil, name, "cannot be read").because(err)
	}
	if int64(len(data)) != f.size {
		return nil, fault(ErrDigest, name, "%d bytes long, not %d", len(data), f.size)
	}
	if want := digestOf(name); want != "" && want.Algorithm().FromBytes(data) != want {
		return nil, fault(ErrDigest, name, "its digest is %s", want.Algorithm().FromBytes(data))
	}
	return data, nil
}

// blobName is where a layout keeps the blob of a digest (OCI image layout
// specification, "Blobs"). It refuses what is no digest, before that becomes
// part of a path.
func blobName(d digest.Digest, in string) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fault(ErrDigest, in, "names %q, which is no digest that can be checked", clip(string(d)))
	}
	return path.Join("blobs", d.Algorithm().String(), d.Encoded()), nil
}

// digestOf is the reverse of [blobName]: the digest in a blob's name, or "".
func digestOf(name string) digest.Digest {
	algorithm, encoded, ok := strings.Cut(strings.TrimPrefix(name, "blobs/"), "/")
	d := digest.Digest(algorithm + ":" + encoded)
	if !ok || !strings.HasPrefix(name, "blobs/") || d.Validate() != nil {
		return ""
	}
	return d
}

// cleanName is a name as a source spells it, "./a//b" or "/a/b", in its one
// proper form. What leads out of the source is refused.
func cleanName(name string) (string, error) {
	name = strings.TrimLeft(name, "/") // There is nothing above the top of an archive.
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", errors.New("the path leads outside")
		}
	}
	cleaned := path.Clean(name)
	if cleaned == "." || !fs.ValidPath(cleaned) || strings.ContainsRune(name, 0) {
		return "", errors.New("the path is not valid")
	}
	return cleaned, nil
}

// flat are the contents of skopeo's dir:, where a blob is called by the digits of
// its digest alone, and the manifest of one platform by those and a suffix.
type flat struct{ contents }

func (c flat) find(name string) (file, error) {
	d := digestOf(name)
	if d == "" {
		return c.contents.find(name)
	}
	encoded := d.Encoded()
	if d.Algorithm() != digest.Canonical {
		encoded = d.Algorithm().String() + "-" + encoded
	}
	f, err := c.contents.find(encoded)
	if errors.Is(err, fs.ErrNotExist) {
		return c.contents.find(encoded + ".manifest.json")
	}
	return f, err
}

// directory is an unpacked image. [os.Root] keeps links from leading out, but for
// a file at the place of a digest: Bazel makes layouts of links to its other
// outputs. Such a file can have no other bytes than those that the manifest
// names, so that nothing is sent that the maker of the layout did not know.
type directory struct {
	root *os.Root
	path string
}

func (d directory) find(name string) (file, error) {
	info, err := d.root.Stat(name)
	if err != nil && digestOf(name) != "" {
		info, err = os.Stat(d.outside(name))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file{}, err
	case err != nil:
		return file{}, fault(ErrUnsafe, name, "cannot be used").because(err)
	case !info.Mode().IsRegular():
		return file{}, fault(ErrInvalid, name, "is a %s, not a regular file", typeOf(info.Mode()))
	}
	r, err := d.open(name)
	if err != nil {
		return file{}, err
	}
	head, err := readHead(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return file{}, fault(nil, name, "cannot be read").because(err)
	}
	return file{name: name, size: info.Size(), encoding: detectFile(head)}, nil
}

func (d directory) open(name string) (io.ReadCloser, error) {
	f, err := d.root.Open(name)
	if err != nil && digestOf(name) != "" {
		f, err = os.Open(d.outside(name))
	}
	if err != nil {
		return nil, fault(nil, name, "cannot be opened").because(err)
	}
	return f, nil
}

// outside is the path of a file, wherever links lead.
func (d directory) outside(name string) string {
	return filepath.Join(d.path, filepath.FromSlash(name))
}

func typeOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return fmt.Sprintf("file of type %v", mode.Type())
}
