package doctest

import (
	"fmt"
	"regexp"
	"strings"
)

// Values maps digests and identifiers of a page to those of this run.
type Values map[string]string

// vary are the parts of an output that differ from run to run. Those of the
// first kind are remembered: what a command prints, a later one may be given.
// The last one stands for anything.
var vary = []string{
	`\b[0-9a-f]{12,64}\b`,
	`[0-9a-f]{8}…[0-9a-f]{8}`,
	`\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?`,
	`\bsize: \d+`,
	`\b127\.\d+\.\d+\.\d+(?::\d+)?\b`,
	`\b\d+(?:\.\d+)? ?(?:ns|µs|ms|s|B|kB|MB|GB|KiB|MiB|GiB|bytes|seconds?|minutes?|hours?|days?)\b`,
	`\b(?:now|\d+ [a-z]+ ago)\b`,
	anything,
}

const anything = `…`

var varies = regexp.MustCompile("(" + strings.Join(vary, ")|(") + ")")

// Match reports whether got is what the page says, want. Digests, dates,
// durations and sizes differ from run to run; where want has "…" there may be
// anything in the line, and where a line of it is "…", any lines. The digests
// of want are remembered with those of got, and hold from then on.
func (v Values) Match(want, got string) error {
	want, got = normal(want), normal(got)
	var pattern strings.Builder
	var names []string
	pattern.WriteString(`\A`)
	for line := range strings.Lines(want) {
		if line == "…\n" {
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		names = append(names, v.line(&pattern, line)...)
	}
	pattern.WriteString(`\z`)
	found := regexp.MustCompile(pattern.String()).FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("the page says\n%s\nthe command prints\n%s", indented(v.Replace(want)), indented(got))
	}
	for i, name := range names {
		if old, ok := v[name]; ok && old != found[i+1] {
			return fmt.Errorf("the page has %s both for %s and for %s", name, old, found[i+1])
		}
		v[name] = found[i+1]
	}
	return nil
}

// line adds the pattern for a line, and returns the values it finds.
func (v Values) line(pattern *strings.Builder, line string) (names []string) {
	end := 0
	for _, at := range varies.FindAllStringSubmatchIndex(line, -1) {
		pattern.WriteString(regexp.QuoteMeta(line[end:at[0]]))
		text := line[at[0]:at[1]]
		end = at[1]
		for i, class := range vary {
			if at[2*i+2] < 0 {
				continue
			}
			switch known, ok := v[text]; {
			case i == 0 && ok:
				pattern.WriteString(regexp.QuoteMeta(known))
			case i == 0:
				names = append(names, text)
				pattern.WriteString("(" + class + ")")
			case class == anything:
				pattern.WriteString(`[^\n]*`)
			default:
				pattern.WriteString(class)
			}
		}
	}
	pattern.WriteString(regexp.QuoteMeta(line[end:]))
	return names
}

// Replace returns a command of the page for this run.
func (v Values) Replace(command string) string {
	for name, value := range v {
		command = strings.ReplaceAll(command, name, value)
	}
	return command
}

var spaces = regexp.MustCompile(`[ \t]+`)

// normal leaves out what a reader does not see: the number of spaces, line
// ends of terminals, and empty lines at the end.
func normal(text string) string {
	text = spaces.ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), " ")
	text = strings.ReplaceAll(text, " \n", "\n")
	if text = strings.TrimRight(text, " \n"); text != "" {
		text += "\n"
	}
	return text
}

func indented(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n\t")
}
