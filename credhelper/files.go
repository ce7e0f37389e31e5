package credhelper

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/moby/sys/atomicwriter"
)

// Our own files are readable by the user alone, in a directory of the user
// alone. They are written whole or not at all: a new file beside the old one,
// flushed, then renamed over it.

const (
	ownFile = 0o600
	ownDir  = 0o700
)

// writeOwn replaces a file of ours. It refuses to write through a link.
func writeOwn(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), ownDir); err != nil {
		return err
	}
	return atomicwriter.WriteFile(path, data, ownFile)
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
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	if exposed(info) {
		if err := os.Chmod(path, ownFile); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(path)
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
	if err := os.MkdirAll(dir, ownDir); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	file := flock.New(filepath.Join(dir, fileName(name)), flock.SetPermissions(ownFile))
	if _, err := file.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { _ = file.Unlock() }, nil
}

// fileName turns a host into a name that every file system takes. Different
// hosts have different names: no host holds a "+".
func fileName(host string) string { return strings.ReplaceAll(host, ":", "+") }
