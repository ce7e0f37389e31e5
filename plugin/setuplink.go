package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// link makes path a link to program, unless it is the program or leads there.
func (s *setup) link(program, path string) error {
	if at, err := filepath.EvalSymlinks(path); err == nil && at == program {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return fault.WithHint(fmt.Errorf("%s is another program, which is left alone", path), "move it away first")
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s is relative: the directory that a command runs in would choose the program", path)
	}
	if err := checkLinkTarget(program, path); err != nil {
		return err
	}
	s.say("link %s to %s", path, program)
	if s.dryRun {
		return nil
	}
	if err := ownfile.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(program, path); err != nil {
		return err
	}
	s.record.Links = append(s.record.Links, linkRecord{Path: path, Target: program})
	return nil // whose a link is counts for nothing
}

// checkLinkTarget refuses a link in a directory of root's to a program that
// another user can replace: root and everybody else would run what that user
// puts there. What is in a user's own directory is that user's affair. Windows
// has access lists in place of owners; nothing is checked there.
func checkLinkTarget(program, path string) error {
	around, err := existingParent(path)
	if err != nil {
		return err
	}
	if owner, known := ownfile.Owner(around); !known || owner != 0 {
		return nil
	}
	if why := replaceable(program); why != "" {
		return fault.WithHint(fmt.Errorf("%s is not linked from %s: %s, and others would run what is put there", program, filepath.Dir(path), why),
			"install it where root alone can write, and set it up from there: sudo install -D -t /usr/local/libexec/docker/cli-plugins "+program)
	}
	return nil
}

// existingParent is the nearest directory around path that there is.
func existingParent(path string) (fs.FileInfo, error) {
	for {
		path = filepath.Dir(path)
		info, err := os.Stat(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return info, err
		}
	}
}

// replaceable says who can put another file in a program's place: whoever may
// write it, or a directory above it. In one like /tmp everybody may write, and
// take away only what is their own. It is empty for root alone. The path has no
// links in it.
func replaceable(program string) string {
	for path := program; ; path = filepath.Dir(path) {
		info, err := os.Lstat(path)
		if err != nil {
			return err.Error()
		}
		owner, known := ownfile.Owner(info)
		switch {
		case !known:
			return ""
		case owner != 0:
			return fmt.Sprintf("%s belongs to the user %d", path, owner)
		case info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
			return path + " can be written by others than root"
		case path == filepath.Dir(path):
			return ""
		}
	}
}
