package ownfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// The modes of what is the user's alone. Elsewhere than on unix it is the folder of
// the user that keeps others out.
const (
	PrivateFile = 0o600
	PrivateDir  = 0o700
)

// WritePrivate replaces a file that only its user may read, in a folder that nobody
// else may write to. It refuses to write through a link.
func WritePrivate(path string, data []byte) error {
	if err := MkdirAll(filepath.Dir(path), PrivateDir); err != nil {
		return err
	}
	return Write(path, data, PrivateFile)
}

// ReadPrivate reads such a file. It refuses links, and files of other users:
// who can plant a file there could redirect a login. A file that others may
// read is closed to them.
func ReadPrivate(path string) ([]byte, error) {
	dir, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	data, err := dir.readPrivate(filepath.Base(path))
	return data, errors.Join(dir.whole(err), dir.Close())
}

func (d directory) readPrivate(name string) ([]byte, error) {
	file, err := d.openRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing is written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := d.checkOwner(name, info); err != nil {
		return nil, err
	}
	// On Windows files inherit the access list of the user's folder.
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		if err := file.Chmod(PrivateFile); err != nil {
			return nil, err
		}
	}
	return readOpened(file)
}

// checkOwner refuses a file that is another user's. Root may use those of whom
// the directory belongs to: with sudo, that is the user's.
func (d directory) checkOwner(name string, info fs.FileInfo) error {
	uid, known := Owner(info)
	if !known || uid == os.Geteuid() {
		return nil
	}
	if around, err := d.Stat("."); err == nil && isRoot() {
		if owner, _ := Owner(around); owner == uid {
			return nil
		}
	}
	return fmt.Errorf("%s belongs to another user", filepath.Join(d.path, name))
}
