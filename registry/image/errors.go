package image

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	digest "github.com/opencontainers/go-digest"
)

// What is wrong with a source. Test for these with errors.Is; [*Error] says
// where.
var (
	// ErrNotImage: the source is something else than an image.
	ErrNotImage = errors.New("not a container image")
	// ErrAmbiguous: the source holds several images, or several platforms,
	// and the options do not say which.
	ErrAmbiguous = errors.New("which image is not clear")
	// ErrNoMatch: no image of the source has the name or platform asked for.
	ErrNoMatch = errors.New("no such image in the source")
	// ErrMissing: a file that the image cannot do without is not there.
	ErrMissing = errors.New("file missing")
	// ErrDigest: a file is not what its digest or its size says.
	ErrDigest = errors.New("digest or size differs")
	// ErrTruncated: the source ends too early.
	ErrTruncated = errors.New("source truncated")
)

// Error is a source that cannot be pushed: the file in it, and its fault.
type Error struct {
	// Source is the name of the source: a path, or what [Read] was told.
	Source string
	// File is the name of a file within the source, empty where the fault is
	// with the source as a whole.
	File string
	// Fault says what is wrong, in words.
	Fault string
	// Err is the cause, if there is one besides the fault.
	Err error

	kind error
}

// Error reads "app.tar: blobs/sha256/ab12…: 10 bytes long, not 12".
func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Source, e.File} {
		if part != "" {
			b.WriteString(printable(part) + ": ")
		}
	}
	b.WriteString(e.Fault)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Is reports what kind of fault it is.
func (e *Error) Is(target error) bool { return e.kind != nil && target == e.kind }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// fault makes an error about one file of a source; the source's name is filled
// in by [named], at the edge of the package.
func fault(kind error, file, format string, args ...any) *Error {
	return &Error{File: file, Fault: fmt.Sprintf(format, args...), kind: kind}
}

// named says which source err is about.
func named(err error, source string) error {
	var e *Error
	if errors.As(err, &e) && e.Source == "" {
		e.Source = source
	}
	return err
}

const maxName = 200

// printable makes a name from outside fit for a message: bounded, and quoted
// if it holds anything that a terminal might obey (CWE-150).
func printable(name string) string {
	name = clip(name)
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// clip bounds a text from outside.
func clip(s string) string {
	if len(s) <= maxName {
		return s
	}
	return strings.ToValidUTF8(s[:maxName], "") + "…"
}

// because adds the cause.
func (e *Error) because(err error) *Error {
	e.Err = err
	return e
}

// short is a digest as people read it.
func short(d digest.Digest) string {
	return d.Algorithm().String() + ":" + d.Encoded()[:12]
}
