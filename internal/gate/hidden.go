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
	words map[string]bool
	// starting are the words by what they begin with, see [start].
	starting map[string][]string
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
	if h.words == nil {
		h.words, h.starting = map[string]bool{}, map[string][]string{}
	}
	for _, word := range words {
		for _, form := range forms(strings.TrimSpace(word)) {
			if len(form) >= shortest && !h.words[form] {
				h.words[form] = true
				h.starting[start(form)] = append(h.starting[start(form)], form)
			}
		}
	}
}

// start is what a word begins with, at most as much as is left of one that is cut
// short, in characters that nothing quotes: a text without it has the word in no
// form. A file may hold very many words, and a text has few of them.
func start(word string) string {
	n := 0
	for i, r := range word {
		if n == shortest || !verbatim(r) {
			return word[:i]
		}
		n++
	}
	return word
}

// verbatim reports a character that stands for itself however a text is quoted.
func verbatim(r rune) bool {
	return r < utf8.RuneSelf && unicode.IsPrint(r) && !strings.ContainsRune("\\\"<>&", r)
}

// within are the words that a text may have, longest first.
func (h *Hidden) within(text string) []string {
	if len(h.words) == 0 {
		return nil
	}
	words := slices.Clone(h.starting[""])
	seen := map[string]bool{}
	for i := range len(text) {
		for end := i + 1; end <= min(i+shortest, len(text)); end++ {
			if begin := text[i:end]; len(h.starting[begin]) > 0 && !seen[begin] {
				seen[begin] = true
				words = append(words, h.starting[begin]...)
			}
		}
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return words
}

// forms are a word, what it is folded to as a name or a host, and what a name is
// corrected to where one is suggested.
func forms(word string) []string {
	corrected := strings.Trim(noName.ReplaceAllString(word, "-"), "-._")
	return []string{word, strings.ToLower(word), corrected, strings.ToLower(corrected)}
}

var noName = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// pattern finds words however often a message, a log or JSON has quoted them, and
// what is left of them where a message had no room for more. Of the words that
// nothing quotes, those that are not in the text are left out.
func pattern(words []string, text string) *regexp.Regexp {
	var all, begins []string
	seen := map[string]bool{}
	for _, word := range words {
		if strings.Contains(text, word) || strings.ContainsFunc(word, func(r rune) bool { return !verbatim(r) }) {
			all = append(all, quoted(word))
		}
		runes := []rune(word)
		if begin := string(runes[:min(shortest, len(runes))]); !seen[begin] {
			seen[begin] = true
			begins = append(begins, quoted(begin)+`(?:\\.|[^\n"…])*…`)
		}
	}
	all = append(all, begins...)
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
		case verbatim(r):
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

// AddJSON is [Hidden.AddShaped] of each name and each text in JSON, also where it
// is none: that is what its error is about. So what stands between any two quotes
// counts, since one too many makes texts of all that is between the others.
func (h *Hidden) AddJSON(content []byte) {
	if h == nil {
		return
	}
	for len(content) > 0 {
		var text string
		text, content = upToQuote(content)
		if strings.Contains(text, `\`) {
			var plain string
			if json.Unmarshal([]byte(`"`+text+`"`), &plain) == nil {
				text = plain
			}
		}
		h.AddShaped(text)
	}
}

// upToQuote is what stands before the next quote that none escapes, and after it.
func upToQuote(content []byte) (text string, rest []byte) {
	for i := 0; i < len(content); i++ {
		switch content[i] {
		case '\\':
			i++
		case '"':
			return string(content[:i]), content[i+1:]
		}
	}
	return string(content), nil
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
	if words := h.within(text); len(words) > 0 {
		text = pattern(words, text).ReplaceAllString(text, NotShown)
	}
	text = secretshape.Replace(text, NotShown)
	return Standing(userinfo.ReplaceAllStringFunc(text, func(address string) string {
		if strings.HasSuffix(address, "://USER:PASSWORD@") {
			return address // a hint, in which these words are to be replaced
		}
		return userinfo.ReplaceAllString(address, "${1}${2}"+NotShown+"@")
	}))
}
