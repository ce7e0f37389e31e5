// Package print writes results: tables, documents, reports of pushes, and the files
// that they go to. What happens meanwhile is shown by package progress.
//
// It takes results and gives bytes, to a writer or a file. Begin with format.go.
//
//   - format.go: text, JSON, YAML or a template; printable.go: values made fit for
//     a terminal, for templates; yaml.go: YAML by the tags of JSON;
//   - table.go: columns; terminal.go: what a terminal is;
//   - report.go: what became of a push, as a document; result.go: where that goes,
//     and what it is in words; file.go: a file that it goes to.
package print

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	template "github.com/DataDog/datadog-agent/pkg/template/text"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// Format is how a result is printed: as text, which is up to the
// command, as JSON, as YAML, or by a template in docker's manner. Templates
// name fields; they cannot call methods, so that the linker need not keep
// every method in the program. The zero value is text.
type Format struct {
	name     string
	template *template.Template
}

// The formats that have a name.
const (
	FormatText = "text"
	FormatJSON = "json"
	FormatYAML = "yaml"
)

const formatUsage = `Format of the result ("text", "json", "yaml", or a Go template)`

// templateFunctions are those of docker's own templates
// (docker/cli, templates/templates.go) that go with the values here.
var templateFunctions = map[string]any{
	"json": func(v any) (string, error) {
		var out strings.Builder
		err := encodeJSON(&out, v)
		return strings.TrimSpace(out.String()), err
	},
	"join":  func(list []string, separator string) string { return strings.Join(list, separator) },
	"split": strings.Split,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
}

// Register declares --format, and --json as the short form of one of them.
func (f *Format) Register(flags *pflag.FlagSet) {
	flags.Var(f, "format", formatUsage)
	flags.BoolFunc("json", "The same as --format json", func(string) error { return f.Set(FormatJSON) })
}

// Set implements [pflag.Value].
func (f *Format) Set(s string) error {
	switch s {
	case FormatText, FormatJSON, FormatYAML:
		*f = Format{name: s}
		return nil
	}
	if !strings.Contains(s, "{{") {
		return fmt.Errorf(`format %q is not one of text, json, yaml, or a template such as "{{.Status.Digest}}"`, s)
	}
	parsed, err := template.New("").Funcs(templateFunctions).Parse(s)
	if err != nil {
		return err
	}
	*f = Format{name: s, template: parsed}
	return nil
}

// String implements [pflag.Value].
func (f *Format) String() string {
	if f.name == "" {
		return FormatText
	}
	return f.name
}

// Type implements [pflag.Value].
func (f *Format) Type() string { return "string" }

// IsText reports that the command prints the result in words.
func (f *Format) IsText() bool { return f.String() == FormatText }

// IsTemplate reports that the format is filled in for each item of a result.
func (f *Format) IsTemplate() bool { return f.template != nil }

// Write prints result on a line, or in YAML as a document.
func (f *Format) Write(w io.Writer, result any) error {
	var out strings.Builder
	switch {
	case f.template != nil:
		if err := f.template.Execute(&out, printableValue(result)); err != nil {
			return fault.Usage(fmt.Errorf("--format: %w", err))
		}
		out.WriteByte('\n')
	case f.name == FormatYAML:
		encoded, err := toYAML(result)
		if err != nil {
			return err
		}
		out.WriteString("---\n")
		out.Write(encoded)
	default:
		if err := encodeJSON(&out, result); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// encodeJSON writes v on a line.
func encodeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
