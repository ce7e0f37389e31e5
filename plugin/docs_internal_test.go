package plugin

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/test/doctest"
)

var update = flag.Bool("update", false, "write the options into docs/push.md")

// The table of options in docs/push.md is made from the flags.
func TestOptionsAreDocumented(t *testing.T) {
	doctest.Section(t, "../docs/push.md", "options", optionsTable(), *update)
}

func optionsTable() string {
	var s options.Settings
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.Register(flags)
	new(print.ReportOptions).Register(flags)
	var b strings.Builder
	b.WriteString("| option | variable | field | default | |\n|---|---|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		variable := options.EnvironmentVariable(f.Name)
		if variable != "" {
			variable = "`" + variable + "`"
		}
		field := options.Fields[f.Name]
		if field != "" {
			field = "`" + field + "`"
		}
		value := strings.Trim(f.DefValue, "[]")
		if value == "false" {
			value = ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", name, variable, field, value, f.Usage)
	})
	return b.String()
}
