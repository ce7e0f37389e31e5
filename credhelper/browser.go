package credhelper

import (
	"os/exec"
	"runtime"

	"github.com/cli/browser"
)

// hasBrowser reports whether a browser started here would be seen by the user.
func (h *helper) hasBrowser() bool {
	if h.Getenv("SSH_CONNECTION") != "" || h.Getenv("SSH_TTY") != "" {
		return false
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	if h.Getenv("DISPLAY") != "" || h.Getenv("WAYLAND_DISPLAY") != "" {
		return true
	}
	// WSL opens Windows' own.
	_, err := exec.LookPath("wslview")
	return err == nil
}

// openBrowser opens an address that checkSecure has accepted. No shell is
// involved, and no program of the working directory.
func (h *helper) openBrowser(address string) error {
	browser.Stdout, browser.Stderr = h.Stderr, h.Stderr
	return browser.OpenURL(address)
}
