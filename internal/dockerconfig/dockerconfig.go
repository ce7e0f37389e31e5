// Package dockerconfig edits docker's config.json for both programs. The file
// belongs to docker and to every other tool that keeps something there, so it
// is edited as text: what is set is put in, what is removed is cut out, and
// every other byte stays as it is, and so do its owner, its mode and a link
// that leads to it.
//
// What a file says is decided by docker's rules, which are those of
// encoding/json: names of docker's own are found in any case, of two the later
// one counts, and hosts are compared as they are written. No edit is saved
// unless docker, reading the result, finds what was asked for.
//
//   - dockerconfig.go is the file: where it is, how it is read and written.
//   - edit.go sets and removes; text.go finds the places in the text.
//   - view.go is what docker reads in it; key.go, what it calls a registry.
package dockerconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// Dir is docker's directory of configuration: what DOCKER_CONFIG says, or else
// ~/.docker.
func Dir(getenv func(string) string) (string, error) {
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		return dir, nil
	}
	dir, err := home.Dir()
	if err != nil {
		return "", fmt.Errorf("find docker config: %w", err)
	}
	return filepath.Join(dir, ".docker"), nil
}

// Edit is a change of config.json in progress.
type Edit struct {
	// Missing is set where there is no such file.
	Missing bool

	path     string
	original []byte
	data     []byte
	mode     fs.FileMode
}

// OpenEdit reads the config.json in dir, or begins one. One that docker could
// not read is an error.
func OpenEdit(dir string) (*Edit, error) {
	path, err := follow(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, fmt.Errorf("read docker config: %w", err)
	}
	e := &Edit{path: path, mode: 0o600}
	data, err := ownfile.Read(path)
	e.Missing = errors.Is(err, fs.ErrNotExist)
	if err != nil && !e.Missing {
		return nil, fmt.Errorf("read docker config: %w", err)
	}
	if info, err := os.Stat(path); err == nil {
		e.mode = info.Mode().Perm()
	}
	e.original, e.data = data, data
	if len(bytes.TrimSpace(data)) == 0 { // for docker, too, it is an empty one
		e.data = []byte("{}")
	}
	if _, err := read(e.data); err != nil {
		return nil, fmt.Errorf("read docker config: %s %w", path, err)
	}
	return e, nil
}

// follow is where a link leads, be there a file or not, as for docker.
func follow(path string) (string, error) {
	for range 40 { // as many as Linux follows
		target, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // no link
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", fmt.Errorf("%s: too many links", path)
}

// Path is the file that is edited.
func (e *Edit) Path() string { return e.path }

// Bytes is the text as it stands.
func (e *Edit) Bytes() []byte { return e.data }

// Empty reports whether nothing is left in the file.
func (e *Edit) Empty() bool { return len(members(e.data, 0)) == 0 }

// Blank is the text of a file that has nothing in it; it is empty for a file
// that has something.
func (e *Edit) Blank() string {
	if !e.Empty() {
		return ""
	}
	return string(e.data)
}

// Restore puts the text of a file that had nothing in it back.
func (e *Edit) Restore(blank string) {
	if e.Empty() && blank != "" {
		e.data = []byte(blank)
	}
}

// errChanged: to write would undo what another program has just done.
var errChanged = errors.New("another program has changed it meanwhile: try again")

// Save replaces the file by what was made of it, at once.
func (e *Edit) Save() error {
	if err := ownfile.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return fmt.Errorf("write docker config: %w", err)
	}
	now, err := ownfile.Read(e.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write docker config: %w", err)
	}
	if !bytes.Equal(now, e.original) {
		return fmt.Errorf("write docker config: %s: %w", e.path, errChanged)
	}
	if err := ownfile.Write(e.path, e.data, e.mode); err != nil {
		return fmt.Errorf("write docker config: %w", err)
	}
	e.original, e.Missing = e.data, false
	return nil
}

// Delete removes the file.
func (e *Edit) Delete() error { return os.Remove(e.path) }
