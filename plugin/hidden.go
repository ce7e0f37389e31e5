package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/docker-gitea/docker-gitea/internal/secretshape"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// hidden are the words that are never shown: secrets that stand where a path, a
// name or an address belongs. --key "$(cat key)" opens a file that is called
// like the key, and the error of that has its name. Messages need not know:
// the gate leaves the words out, whoever prints them.
type hidden struct {
	// mu guards words, longest first.
	mu    sync.Mutex
	words []string
}

const notShown = "[not shown]"

// shortestHidden is the length from which on a word is left out. Shorter ones
// would take parts of other words with them.
const shortestHidden = 5

func (h *hidden) add(words ...string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, word := range words {
		word = strings.TrimSpace(word)
		for _, spelling := range []string{word, strings.ToLower(word)} { // names and hosts are folded
			if len(word) >= shortestHidden && !slices.Contains(h.words, spelling) {
				h.words = append(h.words, spelling)
			}
		}
	}
	slices.SortFunc(h.words, func(a, b string) int { return len(b) - len(a) })
}

// userinfo is the user information of an address. That of SSH is a user's name
// unless it has a password.
var userinfo = regexp.MustCompile(`((?:https?|tcp)://)[^/\s"'@]+@|([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"'@:]*:[^/\s"'@]+@`)

// clean is text as it may be shown.
func (h *hidden) clean(text string) string {
	if h == nil {
		return standing(text)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, word := range h.words {
		text = strings.ReplaceAll(text, word, notShown)
	}
	return standing(userinfo.ReplaceAllStringFunc(text, func(address string) string {
		if strings.HasSuffix(address, "://USER:PASSWORD@") {
			return address // a hint, in which these words are to be replaced
		}
		return userinfo.ReplaceAllString(address, "${1}${2}"+notShown+"@")
	}))
}

// looksSecret are the parts of a word that nobody would call a path, a name or
// an address.
func looksSecret(word string) []string {
	word = strings.TrimSpace(word)
	switch {
	case secretshape.HasKey(word):
		return pemLines(word)
	case secretshape.IsToken(word):
		return []string{word}
	}
	return passwordIn(word)
}

// pemLines are the lines of a key, as one text and as a message quotes it.
func pemLines(text string) []string {
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
func passwordIn(word string) []string {
	scheme, rest, found := strings.Cut(word, "://")
	if !found {
		scheme, rest = "", word
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

// commitHash is the hash of a commit, in the form that a token of Gitea has too.
var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// hideArguments hides what looks like a secret on the command line, and what
// follows the options by which secrets are given elsewhere.
func (h *hidden) hideArguments(args []string) {
	previous := ""
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case (previous == "-t" || previous == "--tag") && commitHash.MatchString(arg), name == "--tag" && commitHash.MatchString(value):
			// A tag may be that.
		case joined && strings.HasPrefix(name, "-"):
			h.hideOption(name, value)
		case len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && !isOption(arg[1:]): // an option of one letter, and its value
			h.hideOption(arg[:2], arg[2:])
		default:
			h.hideOption(previous, arg)
		}
		previous = arg
	}
}

// isOption reports the name of an option of push, which has them all.
func isOption(name string) bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(settings).register(flags)
	return flags.Lookup(name) != nil
}

func (h *hidden) hideOption(option, value string) {
	switch option {
	case "--password", "-p", "--token", "--password-stdin":
		if value != "true" && value != "false" && !strings.HasPrefix(value, "-") {
			h.add(value)
		}
	case "--key":
		h.hidePath(value)
	}
	h.add(looksSecret(value)...)
}

// hidePath hides a path beside a secret if there is nothing: it may be the
// secret.
func (h *hidden) hidePath(path string) {
	if _, err := os.Stat(path); path != "" && err != nil {
		h.add(path, filepath.Base(path))
	}
	h.add(looksSecret(path)...)
}

// shownVariables are those beside the options' that a message may have the value
// of.
var shownVariables = []string{
	"DOCKER_GITEA_HOST", "GITEA_SERVER_URL", "GITHUB_SERVER_URL", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG",
	"DOCKER_CERT_PATH", "DOCKER_API_VERSION", "REGISTRY_AUTH_FILE", "BROWSER", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
	"http_proxy", "https_proxy", "all_proxy", "no_proxy",
}

// secretVariables hold secrets where they belong. A token is no part of any
// message.
var secretVariables = []string{"DOCKER_GITEA_TOKEN", "GITEA_TOKEN"}

// longEnough is a token that no other text is likely to hold.
const longEnough = 12

func (h *hidden) hideEnvironment(getenv func(string) string) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(settings).register(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		if variable := environmentVariable(f.Name); variable != "" {
			h.add(looksSecret(getenv(variable))...)
		}
	})
	h.hidePath(getenv(environmentVariable("key")))
	for _, variable := range shownVariables {
		h.add(looksSecret(getenv(variable))...)
	}
	for _, variable := range secretVariables {
		if secret := strings.TrimSpace(getenv(variable)); len(secret) >= longEnough {
			h.add(secret)
		}
	}
}

// hideSpec hides what stands beside a secret and leads nowhere.
func (h *hidden) hideSpec(spec v1alpha1.RegistrySpec, getenv func(string) string) {
	h.hidePath(spec.KeyFile)
	if source := spec.Credential; source != nil {
		h.hidePath(source.File)
		if getenv(source.Env) == "" && strings.ToUpper(source.Env) != source.Env {
			h.add(source.Env)
		}
	}
}

// hideFile hides what looks like a secret in the configuration file, which has
// no place for one.
func (h *hidden) hideFile(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		h.add(looksSecret(node.Value)...)
	}
	for i, part := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			switch node.Content[i-1].Value {
			case "password", "token", "secret":
				h.add(part.Value) // no such field, which the error says
			}
		}
		h.hideFile(part)
	}
}
