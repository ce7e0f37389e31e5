package credhelper

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/internal/secretshape"
)

// input is one thing that the user can say: by an option, by variables of the
// environment, by a field of config.json, or on standard input.
type input struct {
	options   []string
	variables []string
	field     string
	// effect is what it does to secrets.
	effect effect
	// host is which one it counts for.
	host binding
}

type effect string

const (
	// carries: it is a secret, or leads to one.
	carries effect = "carries a secret"
	// weakens: it makes the way to a host less safe, or trusts more for it.
	weakens effect = "weakens the way to a host"
	// directs: it says where secrets of a host are sent.
	directs effect = "says where secrets are sent"
	// harmless: it does nothing to secrets.
	harmless effect = "does nothing to secrets"
)

type binding string

const (
	// toArgument is the HOST of the command, or the one whose section of
	// config.json it stands in.
	toArgument binding = "HOST"
	// toVariable is the host that a variable beside it names.
	toVariable binding = "the host that is named beside it"
	toNone     binding = ""
)

// inputs is the map of where everything that the user can say may go. What is
// not in it does not exist: tests compare it with the commands, the settings and
// the variables that are read.
var inputs = []input{
	{options: []string{"with-token", "password-stdin"}, effect: carries, host: toArgument},
	{options: []string{"web", "paste"}, effect: carries, host: toArgument},
	{variables: []string{envToken, envHost, envUser}, effect: carries, host: toVariable},
	{variables: []string{"GITEA_TOKEN", "GITEA_SERVER_URL", "GITHUB_SERVER_URL", "GITEA_ACTOR", "GITHUB_ACTOR"}, effect: carries, host: toVariable},
	{variables: []string{"DOCKER_AUTH_CONFIG"}, effect: carries, host: toNone}, // doctor looks at its hosts alone
	{options: []string{"insecure"}, field: "insecure", effect: weakens, host: toArgument},
	{options: []string{"plain-http"}, field: "plainHTTP", effect: weakens, host: toArgument},
	{options: []string{"ca-file"}, field: "caFiles", effect: weakens, host: toArgument},
	{options: []string{"root-url"}, field: "rootURL", effect: directs, host: toArgument},
	{options: []string{"client-id"}, field: "clientID", effect: directs, host: toArgument},
	{options: []string{"scope"}, field: "scope", effect: directs, host: toArgument},
	{options: []string{"storage"}, variables: []string{envStorage}, field: "storage", effect: directs, host: toArgument},
	{variables: []string{envDir}, effect: directs, host: toNone},
	{variables: []string{"DOCKER_CONFIG", "XDG_RUNTIME_DIR", "REGISTRY_AUTH_FILE", envLog}, effect: harmless},
	// Which packages home and browser and the standard library read.
	{variables: []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "USERPROFILE", "AppData", "LocalAppData", "BROWSER"}, effect: harmless},
	{variables: proxies, effect: directs, host: toNone}, // but to the host itself, by TLS
	{options: []string{"username", "pull-only", "debug", "json", "all", "dry-run", "force", "default", "help"}, effect: harmless},
}

// tokens are the variables that are one, secrets those that may hold one.
var (
	tokens  = []string{envToken, "GITEA_TOKEN"}
	proxies = []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"}
	secrets = slices.Concat(tokens, proxies, []string{"DOCKER_AUTH_CONFIG"})
)

// checkMisplaced refuses what looks like a secret where a name, a path or an
// address belongs, as in --ca-file "$(cat key.pem)". All that would be made of
// it is a message with the secret in it, or a file that is called like it.
func checkMisplaced(args []string, getenv func(string) string) error {
	before := ""
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case !strings.HasPrefix(arg, "-"):
			name, value = before, arg
		case len(arg) > 2 && arg[1] != '-': // an option of one letter, and its value
			name, value = arg[:2], strings.TrimPrefix(arg[2:], "=")
		case !joined:
			name = arg
		}
		if looksSecret(value) || looksSecret(arg) || looksSecret(name) {
			return misplaced(name)
		}
		before = ""
		if strings.HasPrefix(arg, "-") && !joined {
			before = arg
		}
	}
	for _, in := range inputs {
		for _, variable := range in.variables {
			if !slices.Contains(secrets, variable) && looksSecret(getenv(variable)) {
				return misplaced(variable)
			}
		}
	}
	return nil
}

// misplaced names where the secret stands, unless that is the secret.
func misplaced(name string) error {
	if name == "" || looksSecret(name) {
		name = "an argument"
	}
	return advice.Give(usageError{fmt.Errorf("%s holds what looks like a secret, which does not belong there", name)},
		"every user of this machine sees arguments; give it on standard input with --with-token or --password-stdin")
}

// looksSecret reports that nobody would call a path, a name or an address so.
func looksSecret(text string) bool {
	return secretshape.HasKey(text) || len(secretshape.Parts(text)) > 0
}
