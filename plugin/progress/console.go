package progress

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"golang.org/x/term"
)

// console lets mpb draw on w. mpb's own writer goes up by the number of lines
// that it wrote, which is too few once the window has become narrower and the
// terminal has broken them; consoleWriter counts anew. Consoles of Windows want
// other ways, which mpb knows.
func console(w io.Writer) mpb.ContainerOption {
	if runtime.GOOS == "windows" {
		return mpb.WithOutput(w)
	}
	return mpb.WithConsoleWriter(&consoleWriter{out: w, size: sizeOf(w)})
}

// consoleWriter implements [mpb.ConsoleWriter].
type consoleWriter struct {
	bytes.Buffer // what the next Flush draws
	out          io.Writer
	size         func() (width, height int)
	// live are the widths of the lines that the next Flush draws anew.
	live []int
}

// colour is how this package marks text, which takes no room.
var colour = regexp.MustCompile("\x1b\\[[0-9;]*m")

// The size of what has none, such as a pipe.
const defaultWidth, defaultHeight = 80, 24

func sizeOf(w io.Writer) func() (width, height int) {
	return func() (int, int) {
		if file, ok := w.(*os.File); ok {
			if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 && height > 0 {
				return width, height
			}
		}
		return defaultWidth, defaultHeight
	}
}

func (c *consoleWriter) IsTerminal() bool { return true }

// GetTermSize leaves the last column empty: some terminals break a line that
// fills it. The height has no bound: mpb drops the lines that go beyond it, among
// them those of finished blobs, which only scroll up.
func (c *consoleWriter) GetTermSize() (width, height int, err error) {
	width, _ = c.size()
	return max(width-1, 1), math.MaxInt, nil
}

// Flush draws over the lines that were live until now. The last lines that it
// writes are live from now on, as many of them as the window has room for below
// its first line: the cursor does not get at what has scrolled out of it, and
// tmux keeps what is erased from the first line on.
func (c *consoleWriter) Flush(lines int) error {
	width, height := c.size()
	var rows int
	for _, columns := range c.live {
		rows += max((columns+width-1)/width, 1)
	}
	all := slices.Collect(strings.Lines(c.String()))
	first := max(len(all)-lines, 0) // of the live ones
	all = slices.Delete(all, first, max(first, len(all)-max(height-2, 1)))
	c.live = nil
	for _, line := range all[first:] {
		c.live = append(c.live, runewidth.StringWidth(colour.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")))
	}
	var out strings.Builder
	if rows > 0 {
		// The cursor may be anywhere in its line: what is typed is echoed.
		fmt.Fprintf(&out, "\r\x1b[%dA\x1b[J", rows)
	}
	for _, line := range all {
		out.WriteString(line)
	}
	c.Reset()
	_, err := io.WriteString(c.out, out.String())
	return err
}
