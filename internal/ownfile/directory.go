package ownfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// directory is one that was opened: swapping it for another, or for a link, changes
// nothing any more.
type directory struct {
	*os.Root
	path string // as it was opened, for errors
}

func openDirectory(path string) (directory, error) {
	root, err := os.OpenRoot(path)
	return directory{root, path}, err
}

// openOrMake opens a directory, or makes it, and what it lacks above, and opens it.
func openOrMake(path string, mode fs.FileMode) (directory, error) {
	dir, err := openDirectory(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
		return dir, err
	}
	around, err := openOrMake(filepath.Dir(path), mode)
	if err != nil {
		return directory{}, err
	}
	dir, err = around.makeDirectory(filepath.Base(path), mode)
	return dir, errors.Join(around.whole(err), around.Close())
}

// makeDirectory makes a directory and opens it. Another process may be quicker.
func (d directory) makeDirectory(name string, mode fs.FileMode) (directory, error) {
	made := d.Mkdir(name, mode)
	if made == nil {
		if err := d.giveDirectory(name); err != nil {
			return directory{}, err
		}
	} else if !errors.Is(made, fs.ErrExist) {
		return directory{}, made
	}
	root, err := d.OpenRoot(name)
	if err != nil && made != nil {
		err = made // there is something else, such as a link to nothing
	}
	return directory{root, filepath.Join(d.path, name)}, err
}

// giveDirectory gives what root has just made to the owner of the directory
// around it. The owner may put another in its place meanwhile: a directory that is not
// root's, or is not empty, is not the one that was made.
func (d directory) giveDirectory(name string) error {
	owner, err := d.owner()
	if owner == nil || err != nil {
		return err
	}
	file, err := d.OpenFile(name, os.O_RDONLY|onlyDirectory, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing is written
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if uid, _ := Owner(info); uid != 0 {
		return fmt.Errorf("%s was replaced while it was made", filepath.Join(d.path, name))
	}
	switch _, err := file.ReadDir(1); {
	case err == nil:
		return fmt.Errorf("%s was replaced while it was made: it is not empty", filepath.Join(d.path, name))
	case !errors.Is(err, io.EOF):
		return err
	}
	_, err = give(file, owner)
	return err
}

// owner is the owner of the files that root makes here. It is nil if the maker keeps
// them: another user, or root in a directory of root's.
func (d directory) owner() (fs.FileInfo, error) {
	if !isRoot() {
		return nil, nil //nolint:nilnil // no owner is an answer
	}
	if around, err := d.Stat("."); err != nil || foreign(around) {
		return around, err
	}
	return nil, nil //nolint:nilnil // as above
}

// create makes a file that was not there, and gives it to its owner.
func (d directory) create(name string, flag int, mode fs.FileMode) (*os.File, error) {
	owner, err := d.owner()
	if err != nil {
		return nil, err
	}
	file, err := d.OpenFile(name, flag|os.O_CREATE|os.O_EXCL, mode)
	if err != nil || owner == nil {
		return file, err
	}
	if _, err := give(file, owner); err != nil {
		return nil, errors.Join(err, file.Close(), d.Remove(name))
	}
	return file, nil
}

// errTrustedLink is a link that root alone can have put there.
var errTrustedLink = errors.New("a link of root's")

// open is Open for root.
func (d directory) open(name string, flag int, mode fs.FileMode) (*os.File, error) {
	around, err := d.Stat(".")
	if err != nil {
		return nil, err
	}
	mine := !foreign(around) && (around.Mode().Perm()&0o022 == 0 || around.Mode()&fs.ModeSticky != 0)
	info, err := d.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		return d.create(name, flag, mode)
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSymlink != 0 && mine && !foreign(info):
		return nil, errTrustedLink
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, fmt.Errorf("%s is a link that another user can lead elsewhere, and root does not follow it", filepath.Join(d.path, name))
	}
	// What is a link by now leads to what is below this directory, or nowhere.
	// The file is cut when it is known to be the right one.
	file, err := d.OpenFile(name, flag&^(os.O_CREATE|os.O_TRUNC), mode)
	if err != nil {
		return nil, err
	}
	info, err = file.Stat()
	if err == nil {
		err = d.checkNames(name, info)
	}
	if err == nil && flag&os.O_TRUNC != 0 && info.Mode().IsRegular() {
		err = file.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// checkNames refuses a file of root's that has a name elsewhere, in a user's
// directory: where the system lets users make such names, this one may be a
// user's for a file that is none of theirs.
func (d directory) checkNames(name string, info fs.FileInfo) error {
	around, err := d.owner()
	if err == nil && around != nil && info.Mode().IsRegular() && !foreign(info) && links(info) > 1 {
		return fmt.Errorf("%s is a file of root's with another name elsewhere, and is left alone", filepath.Join(d.path, name))
	}
	return err
}

func (d directory) openRegular(name string) (*os.File, error) {
	info, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular(filepath.Join(d.path, name))
	}
	// Without waiting for a pipe that took its place.
	file, err := d.OpenFile(name, os.O_RDONLY|withoutWaiting, 0)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = fmt.Errorf("%s was replaced while it was opened", filepath.Join(d.path, name))
	}
	if err == nil {
		err = d.checkNames(name, opened)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// replace writes a new file and renames it over the one of that name.
func (d directory) replace(name string, data []byte, mode fs.FileMode, flush func(*os.File) error) (err error) {
	owner, err := d.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if owner, err = d.owner(); err != nil {
			return err
		}
	case err != nil:
		return err
	case !owner.Mode().IsRegular():
		return errNotRegular(filepath.Join(d.path, name))
	}
	temporary := ".tmp-" + rand.Text()
	file, err := d.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close() // closed already, or of no use
			err = errors.Join(err, d.Remove(temporary))
		}
	}()
	if err := fill(file, data, owner, mode); err != nil {
		return err
	}
	if err := errors.Join(flush(file), file.Close()); err != nil {
		return err
	}
	return d.Rename(temporary, name)
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
	return file.Chmod(mode.Perm())
}

// whole gives errors their whole path back: what is done in an [os.Root] knows
// names alone, and is called openat, mkdirat and so on.
func (d directory) whole(err error) error {
	var several interface {
		error
		Unwrap() []error
	}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &several):
		var all []error
		for _, err := range several.Unwrap() {
			all = append(all, d.whole(err))
		}
		return errors.Join(all...)
	case errors.As(err, &path) && path.Op != "stat" && strings.HasSuffix(path.Op, "at"):
		return &fs.PathError{Op: strings.TrimSuffix(path.Op, "at"), Path: filepath.Join(d.path, path.Path), Err: path.Err}
	case errors.As(err, &link):
		return &os.LinkError{Op: strings.TrimSuffix(link.Op, "at"), Old: filepath.Join(d.path, link.Old), New: filepath.Join(d.path, link.New), Err: link.Err}
	}
	return err
}

// foreign reports a file that is another user's than root's.
func foreign(info fs.FileInfo) bool {
	uid, known := Owner(info)
	return known && uid != 0
}
