package plugin

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/registry"
)

// fail prints err as the failure of command and returns the exit code.
func (a *app) fail(ctx context.Context, command string, err error) int {
	code := fault.ExitCode(ctx, err)
	if fault.IsReported(err) {
		return code
	}
	why := fault.Explain(err)
	switch {
	case code == fault.ExitInterrupted:
		why = fault.Explanation{Message: "interrupted"}
	case code == fault.ExitUsage && why.Hint == "":
		why.Hint = command + " --help"
	}
	if fault.IsInJSON(err) {
		progress.Failed(a.Stderr, why.Message, why.Cause, why.Hint)
		return code
	}
	a.complain(command, why.Message)
	a.complain("cause", why.Cause)
	a.complain("hint", why.Hint)
	return code
}

// complain prints the lines of a text, if there are any, behind a label.
func (a *app) complain(label, text string) {
	for line := range strings.Lines(text) {
		_, _ = fmt.Fprintf(a.Stderr, "%s: %s\n", label, registry.Printable(line))
	}
}
