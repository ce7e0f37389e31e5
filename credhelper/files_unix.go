//go:build !windows

package credhelper

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner refuses a file that belongs to another user.
func checkOwner(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", path)
	}
	return nil
}

// exposed reports whether other users may read the file.
func exposed(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }
