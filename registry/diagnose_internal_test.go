package registry

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/test/doctest"
)

var update = flag.Bool("update", false, "write the diagnoses into docs/troubleshooting.md")

// The tables in docs/troubleshooting.md are made from the rows.
func TestDiagnosesAreDocumented(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("| seen | cause | what to do |\n|---|---|---|\n")
	placeholder := strings.NewReplacer("{", "*", "}", "*", "|", `\|`)
	for _, row := range diagnoses {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.seen, placeholder.Replace(row.cause), placeholder.Replace(row.hint))
	}
	doctest.Section(t, "../docs/troubleshooting.md", "diagnoses", b.String(), *update)
	b.Reset()
	b.WriteString("| in front of Gitea | *size* | *time* | *route* | *deny* | *login* |\n|---|---|---|---|---|---|\n")
	for _, p := range fronts.All {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", orElse(p.Name, "anything else"), p.Size, p.Time, p.Route, p.Deny, p.Login)
	}
	doctest.Section(t, "../docs/troubleshooting.md", "fronts", b.String(), *update)
}
