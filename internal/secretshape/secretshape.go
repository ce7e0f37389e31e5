// Package secretshape tells what has the form of a secret, so that both programs
// take the same for one. What a program does with it, hide it or refuse it, is its
// own to decide.
package secretshape

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// marked are tokens that say what they are: JSON web tokens such as Gitea's for
// OAuth, and what other forges and clouds give out.
const marked = `eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)+|(?:gta|gto|gtu|ghp|gho|ghs|glpat|github_pat|dckr_pat)[_-][A-Za-z0-9_-]{16,}`

// marks are what those begin with.
var marks = []string{"eyJ", "gta", "gto", "gtu", "ghp", "gho", "ghs", "glpat", "github_pat", "dckr_pat"}

var (
	// tokens are those, and Gitea's access tokens.
	tokens = regexp.MustCompile(`^(?:[0-9a-f]{40}|` + marked + `)$`)
	// inside is a token within a path, an address or a name.
	inside = regexp.MustCompile(`(?:^|[^A-Za-z0-9_-])(` + marked + `)`)
	// basic is a name and a password in a header.
	basic = regexp.MustCompile(`(?i)\bbasic ([A-Za-z0-9+/]{4,}=*)`)
)

// IsToken reports a word that is nothing but a token. The hash of a commit has the
// form of Gitea's.
func IsToken(word string) bool {
	return (len(word) == 40 || mayBeMarked(word)) && tokens.MatchString(word)
}

// mayBeMarked reports a text that is worth a look for what is marked, at a small
// part of its cost: of a file, each text is asked about.
func mayBeMarked(text string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool { return strings.Contains(text, mark) })
}

// Replace puts something else in the place of what can be nothing but a secret,
// wherever it stands: tokens that say what they are, and names with passwords in
// headers.
func Replace(text, by string) string {
	text = inside.ReplaceAllStringFunc(text, func(found string) string {
		return strings.Replace(found, inside.FindStringSubmatch(found)[1], by, 1)
	})
	return basic.ReplaceAllStringFunc(text, func(found string) string {
		encoded := basic.FindStringSubmatch(found)[1]
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err != nil || !bytes.Contains(decoded, []byte(":")) {
			return found // "Basic authentication"
		}
		return strings.Replace(found, encoded, by, 1)
	})
}

// HasKey reports text with a key or a certificate in it.
func HasKey(text string) bool { return strings.Contains(text, "-----BEGIN") }

// Parts are the parts of a text that nobody would call a path, a name or an
// address:
//
//   - the text itself, or the NAME of "helper:NAME", if that is a token;
//   - the lines of a key;
//   - the user information of an address, and the code, state or token in one.
func Parts(text string) []string {
	if HasKey(text) {
		return keyLines(text)
	}
	text = strings.TrimLeft(strings.TrimSpace(text), "-") // where it stands for an option
	text = strings.TrimPrefix(text, "helper:")
	if IsToken(text) {
		return []string{text}
	}
	parts := passwordIn(text)
	if strings.ContainsAny(text, "?&") {
		parts = append(parts, all(inQuery, text)...)
	}
	if mayBeMarked(text) {
		parts = append(parts, all(inside, text)...)
	}
	return parts
}

// all is what the pattern finds in a text.
func all(pattern *regexp.Regexp, text string) []string {
	var parts []string
	for _, found := range pattern.FindAllStringSubmatch(text, -1) {
		parts = append(parts, found[1])
	}
	return parts
}

// inQuery is what an address ends in that a login has led to.
var inQuery = regexp.MustCompile(`[?&](?:code|state|token|access_token)=([^&\s"']+)`)

// keyLines are the lines of a key, as one text and as a message quotes it.
func keyLines(text string) []string {
	var lines []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == ' ' }) {
		if !strings.Contains(line, "-----") {
			lines = append(lines, line)
		}
	}
	return lines
}

// passwordIn is the user information of an address with or without a scheme, the
// whole and its parts. The name before a digest is none.
func passwordIn(text string) []string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	}
	first, _, _ := strings.Cut(rest, "/")
	end := strings.LastIndex(first, "@")
	if name, port, colon := strings.Cut(first, ":"); end < 0 && colon && name != "" && strings.Trim(port, "0123456789") != "" {
		end = strings.LastIndex(rest, "@") // a password with a slash in it
	}
	if end < 0 || strings.Contains(rest[end:], ":") && strings.HasPrefix(rest[end:], "@sha") {
		return nil
	}
	user, password, both := strings.Cut(rest[:end], ":")
	switch {
	case both:
		return []string{rest[:end], password}
	case scheme == "ssh" || scheme == "":
		return nil // a user's name
	}
	return []string{user}
}
