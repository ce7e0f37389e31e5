package credhelper

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// Our own files are readable by the user alone, in a directory that nobody else
// may write to. They are written whole or not at all, and stay the user's when
// root writes them, as under sudo.

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	return ownfile.WritePrivate(path, append(data, '\n'))
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
		return advice.Give(fmt.Errorf("others may write to the directory %s", dir), "run: chmod go-w "+dir)
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
	if err := ownfile.MkdirAll(dir, ownfile.PrivateDir); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	file := flock.New(filepath.Join(dir, store.FileName(name)), flock.SetFlag(os.O_RDONLY))
	if err := ownfile.Make(file.Path(), ownfile.PrivateFile); err != nil {
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
