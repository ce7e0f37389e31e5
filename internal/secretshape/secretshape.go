// Package secretshape tells what has the form of a secret, so that both programs
// take the same for one. What a program does with it, hide it or refuse it, is its
// own to decide.
package secretshape

import (
	"regexp"
	"strings"
)

// tokens are Gitea's access tokens, JSON web tokens such as its OAuth tokens, and
// what other forges and clouds give out.
var tokens = regexp.MustCompile(`^(?:[0-9a-f]{40}|eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)+|(?:gta|gto|gtu|ghp|gho|ghs|glpat|github_pat|dckr_pat)[_-][A-Za-z0-9_-]{16,})$`)

// IsToken reports a word that is nothing but a token. The hash of a commit has the
// form of Gitea's.
func IsToken(word string) bool { return tokens.MatchString(word) }

// HasKey reports text with a key or a certificate in it.
func HasKey(text string) bool { return strings.Contains(text, "-----BEGIN") }
