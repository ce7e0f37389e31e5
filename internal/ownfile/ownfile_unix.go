//go:build !windows

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func isRoot() bool { return os.Geteuid() == 0 }

// give makes the file that of who owns owner, and tells whether its group is
// the same, too: a user may not give a file to a group of others. What cannot
// be given back to its user is not replaced.
func give(file *os.File, owner fs.FileInfo) (group bool, err error) {
	want, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return true, nil
	}
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	have, ok := info.Sys().(*syscall.Stat_t)
	if ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return true, nil
	}
	if err := file.Chown(int(want.Uid), int(want.Gid)); err == nil {
		return true, nil
	} else if !ok || have.Uid != want.Uid {
		return false, fmt.Errorf("%s belongs to user %d, and would not any more: %w", owner.Name(), want.Uid, err)
	}
	return false, nil
}

func adopt(path string, parent fs.FileInfo) error {
	owner, ok := parent.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// Owner is the number of the user whom a file belongs to; it is unknown where
// the system has none.
func Owner(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
