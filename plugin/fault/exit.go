package fault

import (
	"context"
	"errors"

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

// ExitCode is how the program ends after err, which is not nil. ctx is that of
// the command.
func ExitCode(ctx context.Context, err error) int {
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
