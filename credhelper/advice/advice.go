// Package advice keeps beside an error what the user can do about it, so that it is
// printed on a line of its own. What a failure at a registry means is not its
// business: package registry explains that.
//
// It takes an error and gives one that carries advice; it imports nothing of the project.
package advice

import "errors"

// advised is an error with a hint.
type advised struct {
	error
	hint string
}

func (a advised) Unwrap() error { return a.error }

// Give adds a hint to err. It is no part of the error's text.
func Give(err error, hint string) error { return advised{err, hint} }

// Of is the outermost hint that err came with, if it came with one.
func Of(err error) (hint string, ok bool) {
	a, ok := errors.AsType[advised](err)
	return a.hint, ok
}
