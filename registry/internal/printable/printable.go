// Package printable makes text harmless that strangers wrote: servers, files,
// certificates. What passes it cannot steer a terminal, and shows no secret of an
// address. It decides nothing about what the text means.
//
// It takes text and gives text; it imports nothing of the project. printable.go is all of
// it.
package printable

import (
	"net/url"
	"strings"
	"unicode"
)

// MaxText is how many bytes [Clip] leaves of a text.
const MaxText = 300

// Line keeps what others wrote from steering a terminal (CWE-150): it is one
// line, without control characters and direction marks.
func Line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case !unicode.IsGraphic(r): // nor is a direction mark
			return -1
		}
		return r
	}, s))
}

// Clean is [Line] text from a server, of a bounded length and with single
// spaces.
func Clean(s string) string { return Clip(strings.Join(strings.Fields(Line(s)), " ")) }

// Clip is s, cut after [MaxText] bytes.
func Clip(s string) string {
	if len(s) <= MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:MaxText], "") + "…"
}

// HasControl reports bytes that may never be part of a header or a prompt.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, unicode.IsControl)
}

// allowedQuery are the query parameters that may be shown.
var allowedQuery = map[string]bool{"digest": true, "mount": true, "from": true, "n": true, "last": true, "service": true, "scope": true}

// URL is u without user information and with only harmless parameters.
// Upload sessions carry signed state in theirs.
func URL(u *url.URL) string {
	shown := *u
	shown.User, shown.Fragment, shown.RawFragment = nil, "", ""
	query, left := url.Values{}, false
	for key, values := range u.Query() {
		if allowedQuery[key] {
			query[key] = values
		} else {
			left = true // its name may be the secret
		}
	}
	shown.RawQuery = query.Encode()
	text := shown.String()
	switch {
	case left && len(query) > 0:
		text += "&…"
	case left:
		text += "?…"
	}
	return Clean(text)
}

// Bare is u without user information and query.
func Bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
