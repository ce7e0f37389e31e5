// Package browser shows an address in the user's browser: the one that $BROWSER
// names, or else that of the system.
package browser

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/cli/browser"
	"github.com/mattn/go-shellwords"
)

// System is what browsers are started with. Those of a terminal use the
// streams; none writes to standard output, which is for results.
type System struct {
	Getenv func(key string) string
	Stdin  io.Reader
	Stderr io.Writer
}

// Find returns a function that shows an address, or nil where nobody would see
// it: over SSH and without a display, unless $BROWSER is set. The function
// returns when the browser lets go of the terminal, which may be when it is
// closed. No shell is involved, and no program of the working directory.
func (s System) Find() func(address string) error {
	if commands := s.Getenv("BROWSER"); commands != "" {
		return func(address string) error { return s.run(commands, address) }
	}
	if !s.visible() {
		return nil
	}
	browser.Stdout, browser.Stderr = s.Stderr, s.Stderr
	return browser.OpenURL
}

// visible reports whether the system's browser would be seen by the user.
func (s System) visible() bool {
	switch {
	case s.Getenv("SSH_CONNECTION") != "", s.Getenv("SSH_TTY") != "":
		return false
	case runtime.GOOS == "windows", runtime.GOOS == "darwin", s.Getenv("DISPLAY") != "", s.Getenv("WAYLAND_DISPLAY") != "":
		return true
	}
	_, err := exec.LookPath("wslview") // WSL opens Windows' own
	return err == nil
}

// run starts the first of the commands that there is. They stand in a list like
// that of $PATH; each may have arguments, and %s where the address belongs, as
// xdg-open and Python's webbrowser have it.
func (s System) run(commands, address string) error {
	for _, command := range filepath.SplitList(commands) {
		words, err := split(command)
		if err != nil {
			return fmt.Errorf("BROWSER=%q: %w", commands, err)
		}
		if len(words) == 0 {
			continue
		}
		path, err := exec.LookPath(words[0])
		if err != nil {
			continue
		}
		cmd := exec.Command(path, arguments(words[1:], address)...) //nolint:gosec,noctx // the user's choice, who closes it
		cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Stdin, s.Stderr, s.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
		return nil
	}
	return fmt.Errorf("BROWSER=%q: there is no such program", commands)
}

// split takes a command apart as a shell does. A path may have spaces unquoted:
// those of Windows, seen from WSL, do.
func split(command string) ([]string, error) {
	if _, err := exec.LookPath(command); err == nil {
		return []string{command}, nil
	}
	return shellwords.Parse(command)
}

// arguments puts the address where %s stands, or else at the end.
func arguments(words []string, address string) []string {
	if !slices.ContainsFunc(words, func(word string) bool { return strings.Contains(word, "%s") }) {
		return append(words, address)
	}
	for i, word := range words {
		words[i] = strings.ReplaceAll(word, "%s", address)
	}
	return words
}
