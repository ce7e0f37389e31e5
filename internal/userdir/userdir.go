// Package userdir says where the user's own directories are. What it returns is
// never relative: a file of the working directory may be anybody's, such as
// that of a cloned repository, and must not be taken for the user's.
package userdir

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
)

// Home is the user's home directory. HOME says it (USERPROFILE on Windows), and
// where that is empty, as for cron, the user database does, as for docker.
func Home() (string, error) {
	dir, err := os.UserHomeDir()
	if err != nil && runtime.GOOS != "windows" {
		var account *user.User
		if account, err = user.Current(); err == nil {
			dir = account.HomeDir
		}
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("find the home directory: %w", err)
	case dir == "":
		return "", errors.New("this user has no home directory")
	case !filepath.IsAbs(dir):
		return "", fmt.Errorf("the home directory %q is relative: set HOME to the whole path", dir)
	}
	return dir, nil
}

// Config is the directory of programs' configuration: XDG_CONFIG_HOME or
// ~/.config, ~/Library/Application Support on macOS, %AppData% on Windows. A
// relative XDG_CONFIG_HOME does not count, as its specification has it.
func Config() (string, error) {
	dir, err := os.UserConfigDir()
	if err == nil && filepath.IsAbs(dir) {
		return dir, nil
	}
	if runtime.GOOS == "windows" {
		return "", errors.New("find the directory of configuration: AppData is not set to a whole path")
	}
	base, err := Home()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(base, "Library", "Application Support"), nil
	}
	return filepath.Join(base, ".config"), nil
}
