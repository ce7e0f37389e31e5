// Package ownfile writes files of ours so that they stay their owner's, and
// reads files of configuration, which have a limit. A program that
// runs as root, as under sudo, in the directories of a user leaves nothing
// there that the user cannot read or replace, and is not led elsewhere by that
// user: a directory is opened once, and all that is done in it is done to what
// was opened, even if it no longer has that name. The owner of a new file is that
// of the opened directory, and only an open file is given away.
//
// directory.go is the opened directory, read.go what is read; ownfile_unix.go and ownfile_windows.go
// are what the systems call an owner.
package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces the file at path, or makes one, with this mode. It is whole
// at every moment: a new file beside the old one, flushed, then renamed over
// it. A file that was there keeps its owner; a new one that root makes gets
// that of its directory. A link, or anything else that is no plain file, is an
// error. The directory must exist.
func Write(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, (*os.File).Sync)
}

// WriteUnflushed is Write for files that may be lost when the machine stops: their
// readers can tell whether they are whole.
func WriteUnflushed(path string, data []byte, mode fs.FileMode) error {
	return write(path, data, mode, func(*os.File) error { return nil })
}

func write(path string, data []byte, mode fs.FileMode, flush func(*os.File) error) error {
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.whole(dir.replace(filepath.Base(path), data, mode, flush)), dir.Close())
}

// MkdirAll makes a directory and the parents that it lacks. Those that root
// makes belong to the owner of the directory around them.
func MkdirAll(dir string, mode fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	made, err := openOrMake(filepath.Clean(dir), mode)
	if err != nil {
		return err
	}
	return made.Close()
}

// Make makes an empty file where there is nothing, with this mode. What root makes
// belongs to the owner of the directory.
func Make(path string, mode fs.FileMode) error {
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return err
	}
	file, err := dir.create(filepath.Base(path), os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return dir.Close()
	} else if err != nil {
		return errors.Join(dir.whole(err), dir.Close())
	}
	return errors.Join(file.Close(), dir.Close())
}

// Open opens what is at path as [os.OpenFile] does. What root makes belongs to the
// owner of the directory. Root follows a link only where nobody else
// can have put it, and writes to no file that a user may have brought into the
// directory by a second name; both are errors.
func Open(path string, flag int, mode fs.FileMode) (*os.File, error) {
	if !isRoot() {
		return os.OpenFile(path, flag, mode)
	}
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	file, err := dir.open(filepath.Base(path), flag, mode)
	if errors.Is(err, errTrustedLink) {
		file, err = os.OpenFile(path, flag, mode)
	}
	return file, errors.Join(dir.whole(err), dir.Close())
}

// Remove removes a file that may be gone already.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// errNotRegular is what stands where a plain file should.
func errNotRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }
