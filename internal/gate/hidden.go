package gate

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/docker-gitea/docker-gitea/internal/secretshape"
)

// Hidden are the words that are never shown: secrets that stand where a path, a
// name or an address belongs. --key "$(cat key)" opens a file that is called
// like the key, and the error of that has its name; a helper called like a token
// is not found, and the error of that has the token.
//
// The zero value hides none, and nil does so for good. Any number of goroutines
// may use it.
type Hidden struct {
	// mu guards the fields below.
	mu    sync.Mutex
	words []string // longest first
	// found finds the words in a text; it is nil until it is needed.
	found *regexp.Regexp
}

// NotShown is what stands for a word that is hidden.
const NotShown = "[not shown]"

// shortest is the length from which on a word is left out. Shorter ones would
// take parts of other words with them.
const shortest = 5

// Add hides words, in whichever form a message has them.
func (h *Hidden) Add(words ...string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, word := range words {
		for _, form := range forms(strings.TrimSpace(word)) {
			if len(form) >= shortest && !slices.Contains(h.words, form) {
				h.words = append(h.words, form)
				h.found = nil
			}
		}
	}
	slices.SortFunc(h.words, func(a, b string) int { return len(b) - len(a) })
}

// forms are a word, what it is folded to as a name or a host, and what a name is
// corrected to where one is suggested.
func forms(word string) []string {
	corrected := strings.Trim(noName.ReplaceAllString(word, "-"), "-._")
	return []string{word, strings.ToLower(word), corrected, strings.ToLower(corrected)}
}

var noName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// pattern finds words however often a message, a log or JSON has quoted them, and
// what is left of them where a message had no room for more.
func pattern(words []string) *regexp.Regexp {
	var all []string
	for _, word := range words {
		all = append(all, quoted(word))
	}
	for _, word := range words {
		begin := []rune(word)
		all = append(all, quoted(string(begin[:min(shortest, len(begin))]))+`(?:\\.|[^\n"…])*…`)
	}
	return regexp.MustCompile(strings.Join(all, "|"))
}

// quoted finds a text with any number of backslashes before what is quoted by
// them, or with the numbers of its bytes or characters.
func quoted(text string) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case r == '\\':
			out.WriteString(`\\+`)
		case r == utf8.RuneError: // no character, or half of one
			fmt.Fprintf(&out, `(?:\\+x%02x|\x{fffd}|\\+ufffd)`, text[i])
		case r < utf8.RuneSelf && unicode.IsPrint(r) && !strings.ContainsRune(`"<>&`, r):
			out.WriteString(regexp.QuoteMeta(string(r)))
		default:
			out.WriteString(`(?:\\*` + regexp.QuoteMeta(string(r)) + `|(?:\\+x[0-9a-f]{2})+|\\+[uU][0-9a-f]{4,8}|\\+[a-z])`)
		}
	}
	return out.String()
}

// AddShaped hides those parts of texts that have the shape of a secret.
func (h *Hidden) AddShaped(texts ...string) {
	for _, text := range texts {
		h.Add(secretshape.Parts(text)...)
	}
}

// literal is a string in JSON.
var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// AddJSON is [Hidden.AddShaped] of each name and each text in JSON, also where it
// is none: that is what its error is about.
func (h *Hidden) AddJSON(content []byte) {
	for _, quoted := range literal.FindAll(content, -1) {
		var text string
		if json.Unmarshal(quoted, &text) == nil {
			h.AddShaped(text)
		}
	}
}

// Lookup is a look into the environment that hides what looks like a secret there:
// a variable that is read may be told of.
func (h *Hidden) Lookup(lookup func(key string) (value string, set bool)) func(key string) (value string, set bool) {
	return func(key string) (string, bool) {
		value, set := lookup(key)
		h.AddShaped(value)
		return value, set
	}
}

// userinfo is the user information of an address. That of SSH is a user's name
// unless it has a password.
var userinfo = regexp.MustCompile(`((?:https?|tcp)://)[^/\s"'@]+@|([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"'@:]*:[^/\s"'@]+@`)

// Clean is text as it may be shown.
func (h *Hidden) Clean(text string) string {
	if h == nil {
		return Standing(text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.words) > 0 && h.found == nil {
		h.found = pattern(h.words)
	}
	if h.found != nil {
		text = h.found.ReplaceAllString(text, NotShown)
	}
	text = secretshape.Replace(text, NotShown)
	return Standing(userinfo.ReplaceAllStringFunc(text, func(address string) string {
		if strings.HasSuffix(address, "://USER:PASSWORD@") {
			return address // a hint, in which these words are to be replaced
		}
		return userinfo.ReplaceAllString(address, "${1}${2}"+NotShown+"@")
	}))
}
