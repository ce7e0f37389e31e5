// Package fault is how the plugin fails: which kind of failure an error is, the
// exit code that follows, and what people are told. It prints nothing.
//
// It takes an error and gives a kind, an exit code or a text. Begin with fault.go.
//
//   - fault.go: the kinds, and advice that comes with an error;
//   - exit.go: the exit codes;
//   - explain.go: a failure in words.
package fault

import (
	"errors"
	"strings"
)

// usageError is a mistake on the command line or in the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage is err as a mistake on the command line or in the environment.
func Usage(err error) error { return usageError{err} }

// pushError is a push that did not succeed, as opposed to what came before.
type pushError struct{ error }

// Error leaves out the word that the command's name says already.
func (e pushError) Error() string { return strings.TrimPrefix(e.error.Error(), "push ") }

func (e pushError) Unwrap() error { return e.error }

// Push is err as the end of a push, which may succeed later, as opposed to what
// came before.
func Push(err error) error { return pushError{err} }

// reportedError is a failure that the command has told of already.
type reportedError struct{ error }

func (e reportedError) Unwrap() error { return e.error }

// Reported is err when the command has told of it already.
func Reported(err error) error { return reportedError{err} }

// IsReported reports an error that [Reported] made.
func IsReported(err error) bool {
	_, is := errors.AsType[reportedError](err)
	return is
}

// jsonError is a failure to be told in JSON, as the progress before it was.
type jsonError struct{ error }

func (e jsonError) Unwrap() error { return e.error }

// InJSON is err when it is to be told in JSON, as the progress before it was.
func InJSON(err error) error { return jsonError{err} }

// IsInJSON reports an error that [InJSON] made.
func IsInJSON(err error) bool {
	_, is := errors.AsType[jsonError](err)
	return is
}

// hinted is an error with advice, which is printed on a line of its own.
type hinted struct {
	error
	hint string
}

// WithHint adds advice to err, which is printed on a line of its own.
func WithHint(err error, hint string) error { return hinted{err, hint} }

func (e hinted) Unwrap() error { return e.error }

func (e hinted) Hint() string { return e.hint }
