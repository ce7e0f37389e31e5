// Package hostile is a registry that sends a payload in every string: for a shell, a
// terminal, a path, an address, YAML and a template. It is for tests, which
// have the programs ask it everything, and look for what the payloads do.
//
// A payload that is run makes a file called [Mark]; one that begins a line
// begins it with [Line]; what acts on a terminal is found by [Acts].
//
// hostile.go has the payloads, server.go answers with them, and certificate.go
// makes a certificate of one.
package hostile

import (
	"strings"
	"unicode"
)

const (
	// Mark is the name of the file that payloads make.
	Mark = "hostile"
	// Line is what payloads begin lines with.
	Line = "HOSTILE"
)

// Payloads are tried in every place; there is no seed.
var Payloads = []string{
	// For shells. Those with a brace or IFS need no space, at which bash divides
	// what it is offered.
	"`touch hostile`", "$(touch hostile)", "`{touch,hostile}`", "$({touch,hostile})", "$(touch${IFS}hostile)", "(touch hostile)",
	"=(touch hostile)", "<(touch hostile)", "${x:=`{touch,hostile}`}", "a;touch hostile", "a|touch hostile", "a&touch hostile&", "'\"touch hostile",
	"a';touch hostile;'", `a";touch hostile;"`, "\\`touch hostile\\`", "!touch hostile", "*", "~root", "#hostile", "{a,b}", ">hostile", "a\n>hostile",
	"a\t`{touch,hostile}`", "app\t\x1b]0;hostile\x07", ":4", "_activeHelp_ hostile",
	// For terminals.
	"\x1b]0;hostile\x07\x1b[2J", "\x1b]52;c;aG9zdGlsZQ==\x07", "\x1bP$qm\x1b\\", "\x9b2J", "\u009b2J", "\u202eelitsoh", "\u2066hostile", "\u2028HOSTILE",
	"\x00", "\x7f\b\b\b", "a\nHOSTILE: a line", "a\r\nHOSTILE: a line", "a\rHOSTILE", "a\vHOSTILE", "a\u0085HOSTILE", strings.Repeat("A", 5000),
	// For paths and addresses.
	"../../hostile", "..%2f..%2fhostile", "/etc/hostile", `C:\hostile`, "CON", "--config=hostile", "-hostile", "-ohostile",
	"https://hostile.invalid/", "@hostile.invalid", "//hostile.invalid/", "javascript:hostile", "file:///etc/hostile", "ext::touch% hostile",
	// For YAML, JSON, templates and formats.
	"!!python/object:hostile", "- hostile: true", "*hostile", "{{hostile}}", "{{range .}}", "{{", "%s%n%d", `","x":"`,
}

// Commands are payloads that a shell runs if it expands what it is offered. They are
// offered alone, since a list with half a quote in it is not expanded at all.
var Commands = []string{"`touch hostile`", "`{touch,hostile}`", "$({touch,hostile})", "$(touch${IFS}hostile)"}

// Acts is the first character of text that a terminal would act upon, or that
// turns the direction of what follows; zero where there is none.
func Acts(text string) rune {
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) {
			return r
		}
	}
	return 0
}

// BeginsLine reports that a payload has made itself a line of text.
func BeginsLine(text string) bool {
	return strings.HasPrefix(text, Line) || strings.Contains(text, "\n"+Line)
}
