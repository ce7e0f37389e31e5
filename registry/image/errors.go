package image

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

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
	// ErrInvalid: a document or a file is not what its place asks for.
	ErrInvalid = errors.New("malformed")
	// ErrUnsafe: a path or a link leads out of the source, or what it holds
	// could be read in two ways.
	ErrUnsafe = errors.New("unsafe")
	// ErrLimit: there is more of something than any image has.
	ErrLimit = errors.New("over a limit")
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
		b.WriteString(": " + printable(e.Err.Error()))
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

const maxText = 200

// printable makes a text from outside fit for a message: bounded, and quoted
// if it holds anything that a terminal might obey (CWE-150).
func printable(text string) string {
	text = clip(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// clip bounds a text from outside.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
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
