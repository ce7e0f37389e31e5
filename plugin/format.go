package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	template "github.com/DataDog/datadog-agent/pkg/template/text"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// outputFormat is how a result is printed: as text, which is up to the
// command, as JSON, as YAML, or by a template in docker's manner. Templates
// name fields; they cannot call methods, so that the linker need not keep
// every method in the program. The zero value is text.
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

// register declares --format, and --json as the short form of one of them.
func (f *outputFormat) register(flags *pflag.FlagSet) {
	flags.Var(f, "format", formatUsage)
	flags.BoolFunc("json", "The same as --format json", func(string) error { return f.Set(formatJSON) })
}

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
	parsed, err := template.New("").Funcs(templateFunctions).Parse(s)
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
		if err := f.template.Execute(&out, printableValue(result)); err != nil {
			return fault.Usage(fmt.Errorf("--format: %w", err))
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
