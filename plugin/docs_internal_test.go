package plugin

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the options into docs/push.md")

// The table of options in docs/push.md is made from the flags.
func TestOptionsAreDocumented(t *testing.T) {
	const path, begin, end = "../docs/push.md", "<!-- options -->\n", "<!-- /options -->"
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(content), begin)
	got, after, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no place for the options", path)
	}
	want := optionsTable()
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run with -update:\n%s", diff)
	}
}

func optionsTable() string {
	var s settings
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.register(flags)
	new(reportOptions).register(flags)
	var b strings.Builder
	b.WriteString("| option | variable | field | default | |\n|---|---|---|---|---|\n")
	flags.VisitAll(func(f *pflag.Flag) {
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		variable := environmentVariable(f.Name)
		if variable != "" {
			variable = "`" + variable + "`"
		}
		field := fields[f.Name]
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
