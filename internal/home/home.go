// Package home says where the directories of the user are. It looks where the
// standard library does, and like docker it asks the user database where HOME
// is not set, as under cron, systemd and env -i. It never gives a relative
// path: that would be one of the working directory, and in that there may be
// files of anybody.
package home

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
)

// ErrUnknown says that neither the environment nor the user database has the
// home directory.
var ErrUnknown = errors.New("the home directory is unknown: set HOME")

// Dir is the home directory.
//
// Errors: [ErrUnknown], and that HOME is relative.
//
// Source: docker/cli and moby/sys, homedir.Get.
func Dir() (string, error) {
	dir, err := os.UserHomeDir()
	if err != nil || dir == "" {
		if dir = fromDatabase(); dir == "" {
			return "", ErrUnknown
		}
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("the home directory %q is relative: set HOME to the whole path", dir)
	}
	return dir, nil
}

func fromDatabase() string {
	if runtime.GOOS == "windows" {
		return "" // docker does not ask there either
	}
	account, err := user.Current()
	if err != nil {
		return ""
	}
	return account.HomeDir
}

// Config is the directory of the user's configuration: XDG_CONFIG_HOME, or what
// the system has for it.
//
// Errors: those of [Dir], and that the variable is relative.
func Config() (string, error) {
	return directory("XDG_CONFIG_HOME", ".config", "Library/Application Support", os.UserConfigDir)
}

// Cache is the directory of what can be made again: XDG_CACHE_HOME, or what the
// system has for it.
//
// Errors: those of [Dir], and that the variable is relative.
func Cache() (string, error) {
	return directory("XDG_CACHE_HOME", ".cache", "Library/Caches", os.UserCacheDir)
}

// directory does what the standard library does, which knows no home without
// HOME.
func directory(variable, unix, darwin string, windows func() (string, error)) (dir string, err error) {
	below := unix
	switch runtime.GOOS {
	case "windows":
		variable = "the directory"
		if dir, err = windows(); err != nil {
			return "", err
		}
	case "darwin":
		below = darwin
	default:
		dir = os.Getenv(variable) //nolint:forbidigo // as os.UserConfigDir does
	}
	if dir == "" {
		base, err := Dir()
		if err != nil {
			return "", err
		}
		return filepath.Join(base, below), nil
	}
	if !filepath.IsAbs(dir) {
		return "", fmt.Errorf("%s %q is relative: give the whole path", variable, dir)
	}
	return dir, nil
}
