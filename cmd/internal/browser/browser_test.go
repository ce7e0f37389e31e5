//go:build linux

package browser

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/programs"
)

// writeScript writes a browser that notes its arguments, and prints one line.
func writeScript(t *testing.T, dir, name, seen string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	script := "#!/bin/sh\nprintf '%s\\n' \"$0\" \"$@\" >'" + seen + "'\necho shown\n"
	return programs.Write(t, path, script)
}

func TestBrowserOfEnvironment(t *testing.T) {
	const address = "https://git.example.com/me/-/packages?type=container&q=%25"
	dir := t.TempDir()
	seen := filepath.Join(dir, "seen")
	t.Setenv("PATH", dir)
	plain := writeScript(t, dir, "firefox", seen)
	spaced := writeScript(t, dir, "fire fox.exe", seen)
	for name, test := range map[string]struct{ browser, want string }{
		"a name":                        {"firefox", plain + "|" + address},
		"a path":                        {plain, plain + "|" + address},
		"arguments":                     {"firefox --new-window '--profile=a b'", plain + "|--new-window|--profile=a b|" + address},
		"a place for the address":       {"firefox --open=%s -x", plain + "|--open=" + address + "|-x"},
		"the first that there is":       {"opera::firefox:lynx", plain + "|" + address},
		"a path with spaces":            {spaced, spaced + "|" + address},
		"a path with spaces, in quotes": {"'" + spaced + "' -x", spaced + "|-x|" + address},
		"no shell":                      {"firefox $(id) `id`", plain + "|$(id)|`id`|" + address},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			env := map[string]string{"BROWSER": test.browser, "SSH_CONNECTION": "1"}
			show := System{Getenv: func(key string) string { return env[key] }, Stderr: &stderr}.Find()
			if err := show(address); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(seen)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", "|"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if stderr.String() != "shown\n" {
				t.Errorf("the browser's words are lost: %q", stderr.String())
			}
		})
	}
}

func TestBrowserThatCannotBeStarted(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for browser, want := range map[string]string{
		"opera:lynx": "no such program",
		"'opera":     "BROWSER",
		"/bin/false": "exit status 1",
	} {
		show := System{Getenv: func(string) string { return browser }}.Find()
		if err := show("https://git.example.com"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", browser, err, want)
		}
	}
}

func TestBrowserThatNobodySees(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"no display":         {nil, false},
		"a display":          {map[string]string{"DISPLAY": ":0"}, true},
		"a display, and ssh": {map[string]string{"DISPLAY": ":0", "SSH_TTY": "/dev/pts/0"}, false},
		"Wayland":            {map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, true},
	} {
		if got := (System{Getenv: func(key string) string { return test.env[key] }}).Find() != nil; got != test.want {
			t.Errorf("%s: found %t, want %t", name, got, test.want)
		}
	}
}
