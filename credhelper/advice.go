package credhelper

import (
	"errors"
	"fmt"
)

// advised is an error with a hint: what the user can do about it.
type advised struct {
	error
	hint string
}

func (a advised) Unwrap() error { return a.error }

// advise adds a hint to err. It is no part of the error's text.
func advise(err error, hint string) error { return advised{err, hint} }

// hintOf returns the outermost hint of err, or nothing.
func hintOf(err error) string {
	if a, ok := errors.AsType[advised](err); ok {
		return a.hint
	}
	return ""
}

// printHint tells the user what to do about err.
func (h *helper) printHint(err error) {
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(h.Stderr, "hint: %s\n", hint)
	}
}

// loginHint is the way out of a login that no longer works.
func loginHint(host string) string { return "run: " + program + " login " + host }
