package image

import (
	"errors"
	"os"
	"slices"
	"strings"
)

// Held is one image of a file or directory that may hold several.
type Held struct {
	// Select is an [Options.Name] that means this image and no other; empty where
	// there is only one.
	Select string
	// References are what the file calls it, as "app:1" or
	// "docker.io/library/app:1", each once. A layout may give no more than a tag,
	// which is left out.
	References []string
}

// List gives the images that a docker archive or an OCI layout holds, in the order
// in which it names them. It reads metadata alone.
//
// Errors: [*Error] when it is no image, is malformed, or is compressed as a whole:
// such a file is read once and forward, and its end says what it holds.
func List(path string) (held []Held, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	s := &Source{name: path}
	defer func() { err = errors.Join(named(err, path), s.Close()) }()
	c, whole, err := s.contentsOf(path, info)
	if err != nil {
		return nil, err
	}
	candidates, err := candidatesOf(c)
	if err != nil {
		return nil, explain(err, whole)
	}
	for _, c := range distinct(candidates) {
		h := Held{Select: c.ids[0]}
		for _, name := range c.names {
			if strings.ContainsAny(name, "/:") && !slices.ContainsFunc(h.References, func(r string) bool { return sameName(r, name) }) {
				h.References = append(h.References, name)
			}
		}
		held = append(held, h)
	}
	if len(held) == 1 {
		held[0].Select = "" // an index.json that is the image itself has no other
	}
	return held, nil
}

func candidatesOf(c contents) ([]candidate, error) {
	x, err := readIndexes(c)
	if err != nil {
		return nil, err
	}
	return x.candidates(Options{})
}

// contentsOf opens what is at rest. whole is false for a tar without its end.
func (s *Source) contentsOf(path string, info os.FileInfo) (c contents, whole bool, err error) {
	if info.IsDir() {
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, false, err
		}
		s.closer = append(s.closer, root)
		return directory{root, path}, true, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	s.closer = append(s.closer, f)
	if !info.Mode().IsRegular() {
		return nil, false, errNotAtRest()
	}
	head, err := readHead(f)
	if err != nil {
		return nil, false, err
	}
	if detectWrapping(head) != EncodingTar {
		return nil, false, errNotAtRest()
	}
	entries, whole, err := scan(f, info.Size())
	return archive{r: f, catalog: entries}, whole, err
}

func errNotAtRest() error {
	return fault(ErrNotImage, "", "is no plain tar: what it holds shows only at its end; unpack it first (gunzip, zstd -d)")
}
