package credhelper

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// Our own files are readable by the user alone, in a directory that nobody else
// may write to. They are written whole or not at all, and stay the user's when
// root writes them, as under sudo.

const (
	ownFile = 0o600
	ownDir  = 0o700
)

// writeOwn replaces a file of ours. It refuses to write through a link.
func writeOwn(path string, data []byte) error {
	if err := ownfile.MkdirAll(filepath.Dir(path), ownDir); err != nil {
		return err
	}
	return ownfile.Write(path, data, ownFile)
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return writeOwn(path, append(data, '\n'))
}

// readOwn reads a file of ours. It refuses links, and files of other users:
// who can plant a file there could redirect a login. A file that others may
// read is closed to them.
func readOwn(path string) ([]byte, error) {
	file, err := ownfile.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing is written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	if exposed(info) {
		if err := file.Chmod(ownFile); err != nil {
			return nil, err
		}
	}
	return ownfile.ReadOpened(file)
}

// checkOwner refuses a file that is another user's. Root may use those of whom
// the directory belongs to: with sudo, that is the user's.
func checkOwner(path string, info fs.FileInfo) error {
	uid, known := ownfile.Owner(info)
	if !known || uid == os.Geteuid() {
		return nil
	}
	if around, err := os.Stat(filepath.Dir(path)); err == nil && os.Geteuid() == 0 {
		if owner, _ := ownfile.Owner(around); owner == uid {
			return nil
		}
	}
	return fmt.Errorf("%s belongs to another user", path)
}

// checkDirectory refuses a directory that is another user's, or that others may
// write to: they could put files of theirs in the place of ours. One that does
// not exist is made when it is needed.
func checkDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return nil //nolint:nilerr // what uses it says more
	}
	uid, known := ownfile.Owner(info)
	switch {
	case !known:
		return nil
	case uid != os.Geteuid() && os.Geteuid() != 0:
		return fmt.Errorf("the directory %s belongs to another user", dir)
	case info.Mode().Perm()&0o022 != 0:
		return advise(fmt.Errorf("others may write to the directory %s", dir), "run: chmod go-w "+dir)
	}
	return nil
}

// lockPoll is how often a process asks again for a lock that another holds.
const lockPoll = 10 * time.Millisecond

// lock takes the lock of that name between processes, and returns the
// function that gives it back. The kernel gives it back for a process that
// dies. The file stays: to remove it would be a race.
func (h *helper) lock(ctx context.Context, name string, timeout time.Duration) (unlock func(), err error) {
	if h.dir == "" {
		return nil, errNoDirectory
	}
	dir := filepath.Join(h.dir, "locks")
	if err := ownfile.MkdirAll(dir, ownDir); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	file := flock.New(filepath.Join(dir, fileName(name)), flock.SetFlag(os.O_RDONLY))
	if err := ownfile.Make(file.Path(), ownFile); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	done := h.waiting("another " + program + ", which holds " + file.Path() + ",")
	_, err = file.TryLockContext(limited, lockPoll)
	done()
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("another %s holds %s for more than %v", program, file.Path(), timeout)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { _ = file.Unlock() }, nil
}

// fileName turns a host, or one of Docker Hub's addresses, into a name that
// every file system takes. Different ones have different names: none holds a
// "+" or a "~".
func fileName(host string) string { return strings.NewReplacer(":", "+", "/", "~").Replace(host) }
