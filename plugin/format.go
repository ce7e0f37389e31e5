package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"

	"github.com/docker/cli/templates"
)

// outputFormat is how a result is printed: as text, which is up to the
// command, as JSON, as YAML, or by a template in docker's manner. The zero
// value is text.
type outputFormat struct {
	name     string
	template *template.Template
}

// The formats that have a name.
const (
	formatText = "text"
	formatJSON = "json"
	formatYAML = "yaml"
)

const formatUsage = `Format of the result ("text", "json", "yaml", or a Go template)`

// Set implements [pflag.Value].
func (f *outputFormat) Set(s string) error {
	switch s {
	case formatText, formatJSON, formatYAML:
		*f = outputFormat{name: s}
		return nil
	}
	if !strings.Contains(s, "{{") {
		return fmt.Errorf(`format %q is none of text, json, yaml and a template such as "{{.Status.Digest}}"`, s)
	}
	parsed, err := templates.Parse(s)
	if err != nil {
		return err
	}
	*f = outputFormat{name: s, template: parsed}
	return nil
}

// String implements [pflag.Value].
func (f *outputFormat) String() string {
	if f.name == "" {
		return formatText
	}
	return f.name
}

// Type implements [pflag.Value].
func (f *outputFormat) Type() string { return "string" }

// isText reports that the command prints the result in words.
func (f *outputFormat) isText() bool { return f.String() == formatText }

// write prints result on a line, or in YAML as a document.
func (f *outputFormat) write(w io.Writer, result any) error {
	var out strings.Builder
	switch {
	case f.template != nil:
		if err := f.template.Execute(&out, result); err != nil {
			return usageError{fmt.Errorf("--format: %w", err)}
		}
		out.WriteByte('\n')
	case f.name == formatYAML:
		encoded, err := toYAML(result)
		if err != nil {
			return err
		}
		out.WriteString("---\n")
		out.Write(encoded)
	default:
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(result); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
