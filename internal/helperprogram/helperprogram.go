// Package helperprogram runs docker-credential-NAME, another's program, as the
// library that speaks its protocol asks for: so that it can be interrupted, that
// nothing it prints gets into an error, and that it cannot fill the memory.
package helperprogram

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/docker/docker-credential-helpers/client"
)

// maxAnswer is how much a helper may answer: a list of very many logins is less.
const maxAnswer = 4 << 20

// errTooLong says that a helper does not stop.
var errTooLong = errors.New("its answer is too long")

// Call is one run of a helper. It implements [client.Program].
type Call struct {
	*exec.Cmd
	// Err is how it ended, a [context.Canceled] if Ctrl-C ended it. The library's
	// own error has all that the helper printed, which may be the secret.
	Err error
}

var _ client.Program = (*Call)(nil)

// New is a run of program, a name on PATH, until ctx ends. What it writes to its
// standard error goes to stderr.
func New(ctx context.Context, program string, stderr io.Writer, args ...string) *Call {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // G204: running the configured helper is the protocol; who calls has checked its name
	cmd.Stderr = stderr
	// A helper may leave a child behind that holds the pipes.
	cmd.WaitDelay = time.Second
	return &Call{Cmd: cmd}
}

// Input is what the helper reads.
func (c *Call) Input(in io.Reader) { c.Stdin = in }

// Output runs the helper and returns its answer.
func (c *Call) Output() ([]byte, error) {
	out := &answer{}
	c.Stdout = out
	c.Err = c.Run()
	switch {
	case out.tooLong:
		c.Err = errTooLong // the broken pipe is a consequence
	case interrupted(c.Err):
		c.Err = fmt.Errorf("%w: %w", context.Canceled, c.Err)
	}
	return bytes.TrimSpace(out.text.Bytes()), c.Err
}

// What programs end with that Ctrl-C ends: a shell, and one on Windows.
const (
	shellInterrupted   = 128 + int(syscall.SIGINT)
	windowsInterrupted = 0xC000013A // STATUS_CONTROL_C_EXIT
)

// interrupted reports that Ctrl-C ended the helper. All programs of the terminal are
// told so, and the helper may end before its caller knows of it.
func interrupted(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT || exit.ExitCode() == shellInterrupted || uint32(exit.ExitCode()) == windowsInterrupted //nolint:gosec // G115: of 32 bits
}

// answer is as much of an answer as is read. The first byte too many closes the
// pipe. It has no ReadFrom, which a copy would prefer to Write.
type answer struct {
	text    bytes.Buffer
	tooLong bool
}

// Write implements [io.Writer].
func (a *answer) Write(p []byte) (int, error) {
	if a.text.Len()+len(p) > maxAnswer {
		a.tooLong = true
		return 0, errTooLong
	}
	return a.text.Write(p)
}
