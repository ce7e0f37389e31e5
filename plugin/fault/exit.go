package fault

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Exit codes. 75 and 77 are those of sysexits(3), 125 is docker's own.
const (
	// ExitOK: done.
	ExitOK = 0
	// ExitFailed: not done, for any other reason.
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

// ExitCode is how the program ends after err, which is not nil. ctx is that of
// the command.
func ExitCode(ctx context.Context, err error) int {
	if several, is := errors.AsType[severalError](err); is {
		return several.code(ctx)
	}
	_, usage := errors.AsType[usageError](err)
	_, pushing := errors.AsType[pushError](err)
	switch {
	case usage, errors.Is(err, registry.ErrNameInvalid):
		return ExitUsage
	case ctx.Err() != nil, errors.Is(err, context.Canceled): // a credential helper may hear of Ctrl-C first
		return ExitInterrupted
	case errors.Is(err, registry.ErrUnauthorized), errors.Is(err, registry.ErrDenied):
		return ExitDenied
	case pushing && (registry.Temporary(err) || errors.Is(err, context.DeadlineExceeded)):
		return ExitTemporary
	}
	return ExitFailed
}

// severalError is what several pushes failed for.
type severalError struct {
	errs  []error
	total int
}

// Several is the error of a command that makes several pushes; errs are theirs, nil if
// one went well. The command has printed each failure.
func Several(errs []error) error {
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return Reported(severalError{failed, len(errs)})
}

func (e severalError) Error() string {
	return fmt.Sprintf("%d of %d images were not pushed", len(e.errs), e.total)
}

// code is that of all failures if they have the same one, and it says that all may
// succeed later or that all were refused.
func (e severalError) code(ctx context.Context) int {
	if ctx.Err() != nil {
		return ExitCode(ctx, e.errs[0])
	}
	first := ExitCode(ctx, e.errs[0])
	for _, err := range e.errs {
		if code := ExitCode(ctx, err); code != first || code == ExitUsage {
			return ExitFailed
		}
	}
	return first
}
