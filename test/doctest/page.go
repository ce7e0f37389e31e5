// Package doctest reads the commands of a Markdown page, and compares what
// they print with what the page says they print. It runs nothing itself.
//
// Commands are what stands in fenced blocks: a block of sh is a piece of a
// script; a block of console is a transcript, each command after "$ " with its
// further lines after "> ", and what it prints below. A block whose fence has a
// word after the language, such as ```yaml gitea.yaml, is the content of that
// file. A comment that begins with <!-- setup is run as a script and not seen
// by who reads the page. Other blocks hold no commands.
//
// A block that cannot be run says so to the reader, in the line before it:
//
//	*Not run by the tests: it needs a cluster.*
package doctest

import (
	"fmt"
	"regexp"
	"strings"
)

// Page is what can be done on a page, in order.
type Page struct {
	// Options are the words of the comment <!-- test: …, … -->.
	Options []string
	Steps   []Step
	// Skipped are the blocks that are not run.
	Skipped []Skip
}

// Step is one command, one script or one file of a page.
type Step struct {
	// Line is where it stands.
	Line int
	// Text is the command or script, or the content of File.
	Text string
	// File is the name of a file to write; then nothing is run.
	File string
	// Transcript is set when Output is all that the command prints.
	Transcript bool
	Output     string
}

// Skip is a block that is not run, and why.
type Skip struct {
	Line   int
	Reason string
}

var (
	notRun  = regexp.MustCompile(`^\*Not run by the tests: (.+)\.\*$`)
	options = regexp.MustCompile(`^<!-- test: (.+) -->$`)
	// prompted is a line that looks like a command in a block that is none.
	prompted = regexp.MustCompile(`^\s*\$ `)
)

// Parse reads a page.
func Parse(text string) (*Page, error) {
	p := &parser{lines: strings.Split(text, "\n"), page: &Page{}}
	for p.next < len(p.lines) {
		if err := p.line(); err != nil {
			return nil, err
		}
	}
	return p.page, nil
}

type parser struct {
	lines []string
	next  int
	// reason is why the block that follows is not run.
	reason string
	page   *Page
}

// line takes one line outside of blocks, or a block.
func (p *parser) line() error {
	line := p.lines[p.next]
	p.next++
	if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "```"); ok {
		return p.block(p.next, rest, indent(line))
	}
	switch {
	case strings.HasPrefix(line, "<!-- setup"):
		first := p.next
		script := p.until(func(line string) bool { return line == "-->" })
		p.page.Steps = append(p.page.Steps, Step{Line: first, Text: script})
	case options.MatchString(line):
		p.page.Options = strings.Split(options.FindStringSubmatch(line)[1], ", ")
	case notRun.MatchString(line):
		p.reason = notRun.FindStringSubmatch(line)[1]
	case prompted.MatchString(line) && indent(line) != "":
		return fmt.Errorf("line %d: a command that is not run; fence it as console or sh", p.next)
	case strings.TrimSpace(line) != "":
		p.reason = ""
	}
	return nil
}

// block takes the block that begins at the line, fenced with the language info.
func (p *parser) block(first int, info, indented string) error {
	text := p.until(func(line string) bool { return strings.TrimSpace(line) == "```" })
	text = strings.ReplaceAll("\n"+text, "\n"+indented, "\n")[1:]
	reason := p.reason
	p.reason = ""
	language, file, _ := strings.Cut(info, " ")
	switch {
	case reason != "":
		p.page.Skipped = append(p.page.Skipped, Skip{Line: first, Reason: reason})
	case file != "":
		p.page.Steps = append(p.page.Steps, Step{Line: first, Text: text, File: file})
	case language == "sh":
		p.page.Steps = append(p.page.Steps, Step{Line: first, Text: text})
	case language == "console":
		return p.transcript(first, text)
	case language == "powershell":
		return fmt.Errorf("line %d: a block that cannot be run here and does not say so", first)
	case prompted.MatchString(text):
		return fmt.Errorf("line %d: a command that is not run; fence it as console or sh", first)
	}
	return nil
}

func (p *parser) transcript(first int, text string) error {
	var step *Step
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			p.page.Steps = append(p.page.Steps, Step{Line: first + i + 1, Text: command + "\n", Transcript: true})
			step = &p.page.Steps[len(p.page.Steps)-1]
		} else if step == nil {
			return fmt.Errorf("line %d: a transcript begins with a command after \"$ \"", first+i+1)
		} else if more, ok := strings.CutPrefix(line, "> "); ok && step.Output == "" {
			step.Text += more + "\n"
		} else {
			step.Output += line + "\n"
		}
	}
	return nil
}

// until takes the lines up to the one that ends what was begun.
func (p *parser) until(end func(string) bool) string {
	var text strings.Builder
	for p.next < len(p.lines) {
		line := p.lines[p.next]
		p.next++
		if end(line) {
			break
		}
		text.WriteString(line + "\n")
	}
	return text.String()
}

func indent(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}
