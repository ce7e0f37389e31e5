package plugin

import (
	"io"
	"regexp"
	"strings"

	"github.com/docker-gitea/docker-gitea/internal/gate"
)

// candidates is the gate of what is offered to the shell, in which a word may
// be run: bash expands the candidates of compgen -W. A line is
// "candidate\tdescription", or ":" and a number at the end. What is no plain
// word, or longer than any reference, is not offered, nor is a secret.
type candidates struct {
	to     io.Writer
	hidden *gate.Hidden
}

var plainWord = regexp.MustCompile(`^(?:-{0,2}[A-Za-z0-9\[][A-Za-z0-9._:/@\[\]-]*=?|:[0-9]+|[A-Za-z]:\\[A-Za-z0-9._\\-]*)$`)

// longestWord is what a screen can be offered: references end before.
const longestWord = 1024

// Write implements [io.Writer] for whole lines, which cobra writes.
func (c *candidates) Write(p []byte) (int, error) {
	var out strings.Builder
	for line := range strings.Lines(string(p)) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		line = gate.Standing(line)
		if len(word) <= longestWord && plainWord.MatchString(word) && c.hidden.Clean(line) == line {
			out.WriteString(line)
		}
	}
	if _, err := io.WriteString(c.to, out.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Behind is the stream behind the gate.
func (c *candidates) Behind() io.Writer { return c.to }
