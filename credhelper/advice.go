package credhelper

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/registry"
)

// adviceOn is what is known of err beside its text: the outermost hint that it
// came with, or else what is known of a failure at a registry.
func adviceOn(err error) registry.Diagnosis {
	if hint, ok := advice.Of(err); ok {
		return registry.Diagnosis{Hint: hint}
	}
	// A keyring and another helper fail in ways of a network too.
	_, onTheWay := errors.AsType[*registry.UnreachableError](err)
	_, proxy := errors.AsType[*registry.ProxyError](err)
	if onTheWay || proxy || answered(err) != nil {
		return registry.Diagnose(err)
	}
	return registry.Diagnosis{}
}

// printAdvice tells the user why it happened, and what to do about it, each line
// of it behind indent.
func printAdvice(w io.Writer, indent string, d registry.Diagnosis) {
	for _, part := range [][2]string{{"cause", d.Cause}, {"hint", d.Hint}} {
		label := indent + part[0] + ": "
		for line := range strings.Lines(part[1]) {
			// Of the lines that follow, the indentation is a part.
			fmt.Fprintf(w, "%s%s\n", label, strings.TrimRight(line, "\n"))
			label = indent
		}
	}
}

// loginHint is the way out of a login that no longer works.
func loginHint(host string) string { return "run: " + program + " login " + host }
