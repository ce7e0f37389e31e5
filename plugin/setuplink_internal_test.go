//go:build unix

package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everybody's plugin is a file that root alone can replace. It needs root to
// make files of others.
func TestLinkTargetIsRootsAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	const user = 1000
	for _, test := range []struct {
		name           string
		owner, program int
		dir, file      os.FileMode
		plugins        int
		refused        string
	}{
		{name: "root's", dir: 0o755, file: 0o755},
		{name: "a user's file", program: user, dir: 0o755, file: 0o755, refused: "belongs to the user 1000"},
		{name: "a user's directory", owner: user, dir: 0o755, file: 0o755, refused: "belongs to the user 1000"},
		{name: "a directory that all may write", dir: 0o777, file: 0o755, refused: "can be written by others"},
		{name: "a directory like /tmp", dir: 0o777 | os.ModeSticky, file: 0o755},
		{name: "a file that a group may write", dir: 0o755, file: 0o775, refused: "can be written by others"},
		{name: "a user's plugins", owner: user, program: user, dir: 0o755, file: 0o755, plugins: user},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			program, plugins := filepath.Join(root, "bin", "docker-gitea"), filepath.Join(root, "docker")
			put(t, "", program)
			for path, made := range map[string]struct {
				owner int
				mode  os.FileMode
			}{program: {test.program, test.file}, filepath.Dir(program): {test.owner, test.dir}, plugins: {test.plugins, 0o755}} {
				_ = os.Mkdir(path, 0o755)
				if err := os.Chown(path, made.owner, made.owner); err != nil {
					t.Skip(err)
				}
				if err := os.Chmod(path, made.mode); err != nil {
					t.Fatal(err)
				}
			}
			link := filepath.Join(plugins, "cli-plugins", "docker-gitea")
			a := &app{System: System{Stdout: &strings.Builder{}}}
			err := (&setup{app: a}).link(program, link)
			_, made := os.Lstat(link)
			switch {
			case test.refused == "" && (err != nil || made != nil):
				t.Errorf("got %v, %v", err, made)
			case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused) || made == nil):
				t.Errorf("got %v, want %q, and no link", err, test.refused)
			}
		})
	}
}

// A link below the working directory would be chosen by whoever made that.
func TestRelativeLinkIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	program := filepath.Join(t.TempDir(), "docker-gitea")
	put(t, "", program)
	a := &app{System: System{Stdout: &strings.Builder{}}}
	err := (&setup{app: a}).link(program, filepath.Join("cli-plugins", "docker-gitea"))
	if _, made := os.Lstat("cli-plugins"); err == nil || !strings.Contains(err.Error(), "is relative") || made == nil {
		t.Errorf("got %v, %v", err, made)
	}
}
