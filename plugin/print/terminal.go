package print

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/docker-gitea/docker-gitea/internal/gate"
)

// TerminalFile is the file behind a stream, if that is one.
func TerminalFile(stream any) (*os.File, bool) {
	if w, ok := stream.(io.Writer); ok {
		stream = gate.Behind(w)
	}
	file, ok := stream.(*os.File)
	return file, ok
}

// IsTerminal reports whether stream is a file that is a terminal.
func IsTerminal(stream any) bool {
	file, ok := TerminalFile(stream)
	return ok && term.IsTerminal(int(file.Fd()))
}
