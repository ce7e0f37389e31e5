// Package progress shows the events of a push: as lines that are redrawn in
// place on a terminal (terminal.go), as one plain line per blob elsewhere
// (plain.go), or not at all. line.go turns the state of a blob into text; it
// is pure.
package progress

import (
	"fmt"
	"io"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Mode is how progress is shown.
type Mode string

// The modes. The values are those of the option --progress.
const (
	// ModeAuto is ModeTTY on a terminal and ModePlain elsewhere.
	ModeAuto  Mode = "auto"
	ModeTTY   Mode = "tty"
	ModePlain Mode = "plain"
	ModeQuiet Mode = "quiet"
)

// ParseMode returns the mode called s.
func ParseMode(s string) (Mode, error) {
	switch mode := Mode(s); mode {
	case ModeAuto, ModeTTY, ModePlain, ModeQuiet:
		return mode, nil
	}
	return "", fmt.Errorf("progress %q is none of auto, tty, plain and quiet", s)
}

// Display shows the events of one push.
type Display interface {
	// Event has the signature of [registry.ProgressFunc].
	Event(registry.Event)
	// Done leaves the last state on the screen and releases the terminal. No
	// event may follow. It may be called more than once.
	Done()
}

// New returns the display of a mode, writing to w. isTerminal says what w is.
func New(mode Mode, w io.Writer, isTerminal bool) Display {
	switch {
	case mode == ModeQuiet:
		return quiet{}
	case mode == ModeTTY, mode == ModeAuto && isTerminal:
		return newTerminal(w)
	}
	return newPlain(w, time.Now)
}

type quiet struct{}

func (quiet) Event(registry.Event) {}

func (quiet) Done() {}
