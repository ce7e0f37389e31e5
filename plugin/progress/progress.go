// Package progress shows the events of a push: as lines that are redrawn in
// place on a terminal (terminal.go, with console.go below it), as one plain
// line per blob elsewhere (plain.go), as JSON for programs (json.go), or not at
// all. blob.go keeps the state of a blob, line.go turns it into text; both are
// pure.
package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
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
	ModeJSON  Mode = "json"
	ModeQuiet Mode = "quiet"
)

// ParseMode returns the mode called s.
func ParseMode(s string) (Mode, error) {
	switch mode := Mode(s); mode {
	case ModeAuto, ModeTTY, ModePlain, ModeJSON, ModeQuiet:
		return mode, nil
	}
	return "", fmt.Errorf("progress %q is not one of auto, tty, plain, json and quiet", s)
}

// Screen is where progress is shown.
type Screen struct {
	// Writer takes plain text.
	io.Writer
	// Console takes what moves the cursor, too; nil means Writer.
	Console io.Writer
	// Terminal says that it is one on which the cursor can be moved, Color
	// that colours are welcome there.
	Terminal, Color bool
	// Repository is where the push goes.
	Repository string
}

// Display shows the events of one push. It is safe for concurrent use: the way
// through the daemon tells of itself beside the push.
type Display interface {
	// Event has the signature of [registry.ProgressFunc].
	Event(registry.Event)
	// Done leaves the last state on the screen and releases the terminal. Only
	// notes may follow. It may be called more than once.
	Done()
}

// New returns the display of a mode.
func New(mode Mode, screen Screen) Display {
	switch {
	case mode == ModeQuiet:
		return quiet{}
	case mode == ModeJSON:
		return &printable{Display: newJSON(screen, time.Now)}
	case mode == ModeTTY, mode == ModeAuto && screen.Terminal:
		if screen.Console != nil {
			screen.Writer = screen.Console
		}
		return &printable{Display: newTerminal(screen)}
	}
	return &printable{Display: newPlain(screen, time.Now)}
}

// printable shows events with names and sentences that are fit for a terminal:
// those of a blob come from the image, and others from the registry.
type printable struct {
	Display

	mu sync.Mutex // one event at a time
}

func (p *printable) Event(e registry.Event) {
	e.ID, e.Name, e.From = registry.Printable(e.ID), registry.Printable(e.Name), registry.Printable(e.From)
	var lines []string
	for line := range strings.Lines(e.Note) {
		lines = append(lines, registry.Printable(line))
	}
	e.Note = strings.Join(lines, "\n")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Display.Event(e)
}

func (p *printable) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Display.Done()
}

type quiet struct{}

func (quiet) Event(registry.Event) {}

func (quiet) Done() {}

// Name is a state as programs know it, in JSON and in reports: one word.
func Name(s registry.Status) string {
	switch s {
	case registry.StatusExists:
		return "Exists"
	case registry.StatusSkipped:
		return "WouldPush"
	default:
		return string(s)
	}
}
