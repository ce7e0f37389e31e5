package print

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/docker-gitea/docker-gitea/registry"
)

// columnGap is between the columns of a table.
const columnGap = 3

// Table writes rows in columns; the first row has the titles. If w is a terminal that
// is too narrow, the first column is shortened.
func Table(w io.Writer, rows [][]string) error {
	widths := make([]int, len(rows[0]))
	total := -columnGap
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], runewidth.StringWidth(row[i]))
		}
		total += widths[i] + columnGap
	}
	if over := total - TerminalWidth(w); over > 0 {
		widths[0] = max(widths[0]-over, min(widths[0], 8))
	}
	var out strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = registry.Printable(cell)
			line.WriteString(runewidth.FillRight(runewidth.Truncate(cell, widths[i], "…"), widths[i]+columnGap))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// TerminalWidth is that of the terminal w, or more than any line where w is
// something else.
func TerminalWidth(w io.Writer) int {
	if file, ok := TerminalFile(w); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 1 << 20
}

// Fold breaks text between words so that it fits into width columns, and within
// a word that alone does not.
func Fold(text string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if joined := strings.TrimSpace(line + " " + word); runewidth.StringWidth(joined) <= width {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		pieces := strings.Split(runewidth.Wrap(word, width), "\n")
		line = pieces[len(pieces)-1]
		lines = append(lines, pieces[:len(pieces)-1]...)
	}
	return strings.Join(append(lines, line), "\n")
}
