package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/registry"
)

// Exit codes. 75 and 77 are those of sysexits(3), 125 is docker's own.
const (
	// ExitOK: done.
	ExitOK = 0
	// ExitFailed: not done, for a reason that is none of the others.
	ExitFailed = 1
	// ExitTemporary: the network or the server failed; the same command may
	// succeed later.
	ExitTemporary = 75
	// ExitDenied: the registry does not accept the credential, or there is
	// none, or it does not allow this.
	ExitDenied = 77
	// ExitUsage: the options or names make no sense; nothing was attempted.
	ExitUsage = 125
	// ExitInterrupted: stopped by Ctrl-C, by a signal or by docker.
	ExitInterrupted = 130
)

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// pushError is a push that did not succeed, as opposed to what came before.
type pushError struct{ error }

// Error leaves out the word that the command's name says already.
func (e pushError) Error() string { return strings.TrimPrefix(e.error.Error(), "push ") }

func (e pushError) Unwrap() error { return e.error }

// reportedError is a failure that the command has told of already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

// jsonError is a failure to be told in JSON, as the progress before it was.
type jsonError struct{ error }

func (e jsonError) Unwrap() error { return e.error }

// hinted is an error with advice, which is printed on a line of its own.
type hinted struct {
	error
	hint string
}

func withHint(err error, hint string) error { return hinted{err, hint} }

func (e hinted) Unwrap() error { return e.error }

func (e hinted) Hint() string { return e.hint }

// fail prints err as the failure of command and returns the exit code.
func (a *app) fail(ctx context.Context, command string, err error) int {
	code := exitCode(ctx, err)
	if _, reported := errors.AsType[reportedError](err); reported {
		return code
	}
	why := explain(err)
	switch {
	case code == ExitInterrupted:
		why = explanation{message: "interrupted"}
	case code == ExitUsage && why.hint == "":
		why.hint = command + " --help"
	}
	if _, asJSON := errors.AsType[jsonError](err); asJSON {
		progress.Failed(a.Stderr, why.message, why.cause, why.hint)
		return code
	}
	a.complain(command, why.message)
	a.complain("cause", why.cause)
	a.complain("hint", why.hint)
	return code
}

// explanation is a failure in words: what happened, why, and what to do. The
// last two are empty where there is nothing to add.
type explanation struct{ message, cause, hint string }

func explain(err error) explanation {
	if err == nil {
		return explanation{}
	}
	advice := diagnose(err)
	return explanation{message: err.Error(), cause: advice.Cause, hint: advice.Hint}
}

// String is the explanation as it appears on a terminal, without the name of
// the command.
func (e explanation) String() string {
	lines := []string{registry.Printable(e.message)}
	for _, part := range [][2]string{{"cause", e.cause}, {"hint", e.hint}} {
		if part[1] != "" {
			lines = append(lines, part[0]+": "+registry.Printable(part[1]))
		}
	}
	return strings.Join(lines, "\n")
}

// complain prints the lines of a text, if there are any, behind a label.
func (a *app) complain(label, text string) {
	for line := range strings.Lines(text) {
		_, _ = fmt.Fprintf(a.Stderr, "%s: %s\n", label, registry.Printable(line))
	}
}

func exitCode(ctx context.Context, err error) int {
	_, usage := errors.AsType[usageError](err)
	_, pushing := errors.AsType[pushError](err)
	switch {
	case usage, errors.Is(err, registry.ErrNameInvalid):
		return ExitUsage
	case ctx.Err() != nil:
		return ExitInterrupted
	case errors.Is(err, registry.ErrUnauthorized), errors.Is(err, registry.ErrDenied):
		return ExitDenied
	case pushing && (registry.Temporary(err) || errors.Is(err, context.DeadlineExceeded)):
		return ExitTemporary
	}
	return ExitFailed
}

// diagnose is the advice that comes with err, or what the registry's client
// makes of it.
func diagnose(err error) registry.Diagnosis {
	var advised interface{ Hint() string }
	if errors.As(err, &advised) {
		return registry.Diagnosis{Hint: advised.Hint()}
	}
	return registry.Diagnose(err)
}
