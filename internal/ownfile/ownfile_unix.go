//go:build !windows

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const (
	onlyDirectory  = syscall.O_DIRECTORY
	withoutWaiting = syscall.O_NONBLOCK
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
		return false, fmt.Errorf("%s belongs to user %d, and would lose its owner: %w", owner.Name(), want.Uid, err)
	}
	return false, nil
}

// Owner is the number of the user who owns a file; it is unknown where the system has
// none.
func Owner(info fs.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(stat.Nlink) //nolint:unconvert // narrower on some systems
}
