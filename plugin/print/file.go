package print

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// outputFile is the path of a file that a push writes.
type outputFile string

// Prepare takes away what an earlier push has written there, so that nobody
// takes it for the result of this one, and finds out what cannot be written
// before the push. Only a file is removed: what a device, a pipe or a link
// stands for is not this program's.
func (f outputFile) Prepare() error {
	path := string(f)
	if path == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fault.Usage(fmt.Errorf("write %s: %w", path, err))
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // a link to nothing is kept, too
	case err != nil:
		return fault.Usage(err)
	case info.IsDir():
		return fault.Usage(fmt.Errorf("write %s: it is a directory", path))
	case f.isStream(info):
		return nil
	case f.isLink():
		err = f.through(nil, os.O_TRUNC)
	default:
		err = os.Remove(path)
	}
	if err != nil {
		return fault.Usage(err)
	}
	return nil
}

// Write puts content where the path leads. A file is there as a whole or not at all.
// One that root makes belongs to the owner of its directory.
func (f outputFile) Write(content []byte) error {
	path := string(f)
	info, err := os.Stat(path)
	switch {
	case err == nil && f.isStream(info):
		// Standard output may be a file, to which this is added.
		return f.through(content, os.O_APPEND)
	case f.isLink():
		return f.through(content, os.O_CREATE|os.O_TRUNC)
	}
	return ownfile.Write(path, content, 0o644)
}

func (f outputFile) through(content []byte, flag int) error {
	file, err := ownfile.Open(string(f), os.O_WRONLY|flag, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// isStream reports a device or a pipe, and the names of open files: a file that
// standard output leads to may have something in it.
func (f outputFile) isStream(info fs.FileInfo) bool {
	path, err := filepath.Abs(string(f))
	return !info.Mode().IsRegular() || err == nil && (strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/proc/"))
}

func (f outputFile) isLink() bool {
	info, err := os.Lstat(string(f))
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}
