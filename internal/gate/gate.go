// Package gate stands between a program and a terminal, a file or a program
// that reads what is printed. Both programs print and log through it alone.
//
// Names and sentences of a registry, of a certificate, an image or a daemon come
// to it from anywhere, and it lets nothing through that does more than stand
// there: no escape sequence, no direction mark. Nor does it let a secret through
// that was given in a wrong place, see [Hidden]: those who make messages need not know
// of it.
//
// It is not for what a program reads that waits for a secret: what "get" answers
// docker goes past it.
package gate

import (
	"io"
	"strings"
	"sync"
	"unicode"
)

// Writer is the gate of one stream. A caller keeps the text of others on
// its line with registry.Printable. A write has whole characters. It is safe for
// concurrent use: the pushes of several images, and the log, share a stream.
type Writer struct {
	to     io.Writer
	hidden *Hidden

	mu sync.Mutex // one write at a time
}

// New is the gate of a stream, which keeps the hidden words back. Nil hides none.
func New(to io.Writer, hidden *Hidden) *Writer { return &Writer{to: to, hidden: hidden} }

// Write implements [io.Writer]. It reports as written what was left out, too.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := io.WriteString(w.to, w.hidden.Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Behind is the stream behind the gate.
func (w *Writer) Behind() io.Writer { return w.to }

// Behind is the stream behind all gates: to ask what it is, or to give it to
// another program.
func Behind(w io.Writer) io.Writer {
	if gated, ok := w.(interface{ Behind() io.Writer }); ok {
		return Behind(gated.Behind())
	}
	return w
}

// Standing leaves out what is no plain text, and keeps lines and columns.
func Standing(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) { // a direction mark is not
			return r
		}
		return -1
	}, text)
}
