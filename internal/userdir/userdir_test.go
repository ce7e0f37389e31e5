//go:build linux

package userdir_test

import (
	"os/user"
	"path/filepath"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/userdir"
)

func TestDirectoriesAreNeverRelative(t *testing.T) {
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		home, xdg   string
		dir, config string // empty for an error
	}{
		"both":               {"/home/me", "/etc/me", "/home/me", "/etc/me"},
		"HOME":               {"/home/me", "", "/home/me", "/home/me/.config"},
		"none, as for cron":  {"", "", account.HomeDir, filepath.Join(account.HomeDir, ".config")},
		"relative XDG":       {"/home/me", "config", "/home/me", "/home/me/.config"},
		"relative XDG alone": {"", ".", account.HomeDir, filepath.Join(account.HomeDir, ".config")},
		"relative HOME":      {"clone", "", "", ""},
		"relative, both":     {".", "config", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", tt.home)
			t.Setenv("XDG_CONFIG_HOME", tt.xdg)
			if dir, err := userdir.Home(); dir != tt.dir || (err == nil) != (tt.dir != "") {
				t.Errorf("got the home %q (%v), want %q", dir, err, tt.dir)
			}
			if config, err := userdir.Config(); config != tt.config || (err == nil) != (tt.config != "") {
				t.Errorf("got the configuration %q (%v), want %q", config, err, tt.config)
			}
		})
	}
}
