//go:build !windows

package ownfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// as root alone can owners differ.
const (
	user  = 1000
	group = 1001
)

func TestOwnerAndModeSurvive(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	users := filepath.Join(dir, "user")
	must(t, os.Mkdir(users, 0o700))
	must(t, os.Chown(users, user, group))

	old := filepath.Join(users, "old")
	must(t, os.WriteFile(old, nil, 0o640))
	must(t, os.Chown(old, user+1, group+1))
	must(t, ownfile.Write(old, []byte("x"), 0o640))
	expect(t, old, user+1, 0o640)

	fresh := filepath.Join(users, "new", "deep", "file")
	must(t, ownfile.MkdirAll(filepath.Dir(fresh), 0o700))
	must(t, ownfile.Write(fresh, []byte("x"), 0o600))
	for path, mode := range map[string]os.FileMode{fresh: 0o600, filepath.Dir(fresh): 0o700, filepath.Join(users, "new"): 0o700} {
		expect(t, path, user, mode)
	}

	// In root's own directory all stays root's.
	must(t, ownfile.Write(filepath.Join(dir, "own"), []byte("x"), 0o644))
	expect(t, filepath.Join(dir, "own"), 0, 0o644)
}

func TestLinkIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	must(t, os.Symlink(target, link))
	if err := ownfile.Write(link, []byte("x"), 0o600); err == nil {
		t.Error("the link was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("got %v, want the link alone", entries)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, path string, uid int, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if got, _ := ownfile.Owner(info); got != uid || info.Mode().Perm() != mode {
		t.Errorf("%s belongs to %d with the mode %v, want %d and %v", filepath.Base(path), got, info.Mode().Perm(), uid, mode)
	}
}
