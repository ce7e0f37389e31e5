// Package ownfile writes files so that they stay their owner's. A program that
// runs as root, as under sudo, in the directories of a user leaves nothing
// there that the user cannot read or replace.
//
// ownfile_unix.go and ownfile_windows.go are what the systems call an owner.
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
func Write(path string, data []byte, mode fs.FileMode) (err error) {
	before, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if before, err = os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
		if !isRoot() {
			before = nil
		}
	case err != nil:
		return err
	case !before.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // closed already, or of no use
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := fill(file, data, before, mode); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// fill writes a temporary file and makes it its owner's, nil for nobody else.
func fill(file *os.File, data []byte, owner fs.FileInfo, mode fs.FileMode) error {
	if _, err := file.Write(data); err != nil {
		return err
	}
	if owner != nil {
		group, err := give(file, owner)
		if err != nil {
			return err
		}
		if !group {
			mode &^= 0o070 // what its group may do, another shall not
		}
	}
	// After the owner: to change that may take bits of the mode away.
	if err := file.Chmod(mode.Perm()); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// MkdirAll makes a directory and the parents that it lacks. Those that root
// makes belong to whom the directory around them belongs to.
func MkdirAll(dir string, mode fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() || dir == filepath.Dir(dir) {
		return os.MkdirAll(dir, mode)
	}
	if err := MkdirAll(filepath.Dir(dir), mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return os.MkdirAll(dir, mode) // another process was quicker
		}
		return err
	}
	return Adopt(dir)
}

// Adopt gives what root has just made at path to the owner of the directory
// that it is in. It follows no link, and does nothing for other users.
func Adopt(path string) error {
	if !isRoot() {
		return nil
	}
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	return adopt(path, parent)
}

// Remove removes a file that may be gone already.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
