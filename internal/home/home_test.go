//go:build !windows

package home_test

import (
	"errors"
	"os/user"
	"path/filepath"
	"testing"

	"github.com/docker-gitea/docker-gitea/internal/home"
)

func TestDirectories(t *testing.T) {
	account, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		name, home, config   string
		wantHome, wantConfig string
	}{
		{name: "of the environment", home: "/home/me", wantHome: "/home/me", wantConfig: "/home/me/.config"},
		{name: "of XDG", home: "/home/me", config: "/xdg", wantHome: "/home/me", wantConfig: "/xdg"},
		{name: "of the user database", wantHome: account.HomeDir, wantConfig: account.HomeDir + "/.config"},
		{name: "relative", home: "me"},
		{name: "dot", home: "."},
		{name: "relative XDG", home: "/home/me", config: "config", wantHome: "/home/me"},
		{name: "relative XDG without HOME", config: "config", wantHome: account.HomeDir},
		{name: "relative HOME, XDG", home: "me", config: "/xdg", wantConfig: "/xdg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("HOME", test.home)
			t.Setenv("XDG_CONFIG_HOME", test.config)
			t.Setenv("XDG_CACHE_HOME", test.config)
			for _, got := range []struct {
				what string
				of   func() (string, error)
				want string
			}{
				{"home", home.Dir, test.wantHome},
				{"config", home.Config, test.wantConfig},
				{"cache", home.Cache, replaceBase(test.wantConfig)},
			} {
				dir, err := got.of()
				if dir != got.want || (err == nil) != (got.want != "") || errors.Is(err, home.ErrUnknown) {
					t.Errorf("%s: got %q, %v, want %q", got.what, dir, err, got.want)
				}
			}
		})
	}
}

func replaceBase(config string) string {
	if filepath.Base(config) == ".config" {
		return filepath.Join(filepath.Dir(config), ".cache")
	}
	return config
}
