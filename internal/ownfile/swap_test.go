//go:build !windows

package ownfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aUser is another one than root.
const aUser = 1000

// TestSwapBetweenSteps plays the user in whose directory root works, and swaps
// what is there between one step and the next: nothing of root's becomes the
// user's, and nothing is made outside.
func TestSwapBetweenSteps(t *testing.T) {
	for name, swap := range map[string]func(t *testing.T, dir directory, roots string){
		"the directory around, for a link to root's": func(t *testing.T, dir directory, roots string) {
			t.Helper()
			must(t, os.Rename(dir.path, dir.path+".away"))
			must(t, os.Symlink(filepath.Dir(roots), dir.path))
			must(t, dir.giveDirectory("new"))
			expectOwner(t, filepath.Join(dir.path+".away", "new"), aUser)
		},
		"the new directory, for a link to root's": func(t *testing.T, dir directory, roots string) {
			t.Helper()
			must(t, os.Remove(filepath.Join(dir.path, "new")))
			must(t, os.Symlink(roots, filepath.Join(dir.path, "new")))
			wantError(t, dir.giveDirectory("new"))
		},
		"the new directory, for one of root's with something in it": func(t *testing.T, dir directory, roots string) {
			t.Helper()
			must(t, os.WriteFile(filepath.Join(roots, "secret"), nil, 0o600))
			must(t, os.Remove(filepath.Join(dir.path, "new")))
			must(t, os.Rename(roots, filepath.Join(dir.path, "new")))
			wantError(t, dir.giveDirectory("new"))
			must(t, os.Rename(filepath.Join(dir.path, "new"), roots))
		},
		"the directory around, before a file is made": func(t *testing.T, dir directory, roots string) {
			t.Helper()
			must(t, os.Rename(dir.path, dir.path+".away"))
			must(t, os.Symlink(roots, dir.path))
			must(t, dir.replace("file", []byte("x"), 0o600, (*os.File).Sync))
			expectOwner(t, filepath.Join(dir.path+".away", "file"), aUser)
		},
		"the directory around, before its owner is asked": func(t *testing.T, dir directory, _ string) {
			t.Helper()
			const other = aUser + 1
			must(t, os.WriteFile(filepath.Join(dir.path, "file"), nil, 0o600))
			must(t, os.Chown(filepath.Join(dir.path, "file"), other, other))
			must(t, os.Rename(dir.path, dir.path+".away"))
			must(t, os.Mkdir(dir.path, 0o700))
			must(t, os.Chown(dir.path, other, other))
			_, err := dir.readPrivate("file")
			wantError(t, err)
		},
		"a file, for a link while it is opened": func(t *testing.T, dir directory, roots string) {
			t.Helper()
			must(t, os.WriteFile(filepath.Join(roots, "file"), nil, 0o600))
			must(t, os.Symlink(filepath.Join(roots, "file"), filepath.Join(dir.path, "file")))
			// As if there had been no link when it was looked at.
			if file, err := dir.OpenFile("file", os.O_WRONLY, 0); err == nil {
				file.Close()
				t.Error("the link was followed out of the directory")
			}
			must(t, os.Remove(filepath.Join(roots, "file")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			users, roots := places(t)
			dir, err := openDirectory(users)
			must(t, err)
			defer dir.Close()
			must(t, dir.Mkdir("new", 0o700))
			swap(t, dir, roots)
			expectOwner(t, roots, 0)
			if entries, err := os.ReadDir(roots); err != nil || len(entries) > 1 || len(entries) == 1 && entries[0].Name() != "secret" {
				t.Errorf("root's directory has %v (%v)", entries, err)
			}
		})
	}
}

// TestNamesOfRootsFiles puts links and second names of a file of root's where
// root writes in a user's directory. A system with fs.protected_hardlinks lets
// no user make such a name; root makes it here.
func TestNamesOfRootsFiles(t *testing.T) {
	for how, link := range map[string]func(old, fresh string) error{"hard": os.Link, "symbolic": os.Symlink} {
		for what, do := range map[string]func(path string) error{
			"Make":        func(path string) error { return Make(path, 0o600) },
			"Open":        func(path string) error { return openAndClose(Open(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)) },
			"ReadPrivate": func(path string) error { return onlyError(ReadPrivate(path)) },
			"Write":       func(path string) error { return Write(path, []byte("x"), 0o600) },
		} {
			t.Run(how+" "+what, func(t *testing.T) {
				users, roots := places(t)
				shadow, path := filepath.Join(roots, "shadow"), filepath.Join(users, "file")
				must(t, os.WriteFile(shadow, []byte("root's"), 0o600))
				must(t, link(shadow, path))
				err := do(path)
				// Make leaves alone what is there; Write puts a file of its own in
				// the place of a plain one.
				if refused := what != "Make" && (what != "Write" || how == "symbolic"); refused != (err != nil) {
					t.Errorf("got %v, refused is %v", err, refused)
				}
				expectOwner(t, shadow, 0)
				if content, err := os.ReadFile(shadow); err != nil || string(content) != "root's" {
					t.Errorf("root's file has %q (%v)", content, err)
				}
			})
		}
	}
}

// TestRootFollowsItsOwnLinks: what root alone can have put there is root's wish.
func TestRootFollowsItsOwnLinks(t *testing.T) {
	users, roots := places(t)
	target := filepath.Join(users, "file")
	must(t, os.Symlink(target, filepath.Join(roots, "link")))
	must(t, openAndClose(Open(filepath.Join(roots, "link"), os.O_WRONLY|os.O_CREATE, 0o600)))
	if _, err := os.Stat(target); err != nil {
		t.Error(err)
	}
	must(t, openAndClose(Open("/dev/null", os.O_WRONLY|os.O_APPEND, 0)))
}

func TestErrorsHaveTheWholePath(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	long := strings.Repeat("x", 300)
	for want, err := range map[string]error{
		"open " + filepath.Join(dir, "none") + ": no such file or directory":    Write(filepath.Join(dir, "none", "file"), nil, 0o600),
		"open " + filepath.Join(dir, "file", "deep") + ": not a directory":      MkdirAll(filepath.Join(dir, "file", "deep"), 0o700),
		"stat " + filepath.Join(dir, "missing") + ": no such file or directory": onlyError(ReadPrivate(filepath.Join(dir, "missing"))),
		dir + " is not a regular file":                                          Write(dir, nil, 0o600),
		"open " + filepath.Join(dir, long) + ": file name too long":             MkdirAll(filepath.Join(dir, long), 0o700),
	} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// places are a directory of a user's and one of root's.
func places(t *testing.T) (users, roots string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	users, roots = filepath.Join(dir, "users"), filepath.Join(dir, "roots")
	must(t, os.Mkdir(users, 0o700))
	must(t, os.Chown(users, aUser, aUser))
	must(t, os.MkdirAll(roots, 0o700))
	return users, roots
}

func onlyError(_ []byte, err error) error { return err }

func openAndClose(file *os.File, err error) error {
	if err != nil {
		return err
	}
	return file.Close()
}

func expectOwner(t *testing.T, path string, want int) {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	if got, _ := Owner(info); got != want {
		t.Errorf("%s belongs to %d, want %d", path, got, want)
	}
}

func wantError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Error("it was not noticed")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
