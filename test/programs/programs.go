// Package programs writes the programs that a test runs.
package programs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Write is WriteFile for a test, and returns path.
func Write(tb testing.TB, path, content string) string {
	tb.Helper()
	if err := WriteFile(path, content); err != nil {
		tb.Fatal(err)
	}
	return path
}

// WriteFile writes a program that everybody may run. Directories that path lacks are
// made, and a file that is there is replaced.
//
// It is not os.WriteFile: a process that another test starts meanwhile has the open
// file until its own program begins, and the system runs no program that somebody can
// write to ("text file busy", golang.org/issue/22315). Nothing is started here while
// the file is open.
func WriteFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A program that runs cannot be written, but it can be removed.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(content), 0o755)
}
