package plugin

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// hidden knows where secrets are given by mistake.
type hidden struct{ *gate.Hidden }

// commitHash is the hash of a commit, in the form that a token of Gitea has too.
var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// hideArguments hides what looks like a secret on the command line, and what follows
// the options that other programs take a secret with.
func (h hidden) hideArguments(args []string) {
	previous := ""
	for _, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case previous == "--password-stdin": // a switch: what follows is a name
			h.AddShaped(arg)
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
	new(options.Settings).Register(flags)
	return flags.Lookup(name) != nil
}

func (h hidden) hideOption(option, value string) {
	switch option {
	case "--password", "-p", "--token", "--password-stdin":
		if value != "true" && value != "false" && !strings.HasPrefix(value, "-") {
			h.Add(value)
		}
	case "--key":
		h.hidePath(value)
	}
	h.AddShaped(value)
}

// hidePath hides a path beside a secret if there is nothing: it may be the
// secret.
func (h hidden) hidePath(path string) {
	if _, err := os.Stat(path); path != "" && err != nil {
		h.Add(path, filepath.Base(path))
	}
	h.AddShaped(path)
}

// readElsewhere are the variables that the standard library and docker's packages
// read by themselves.
var readElsewhere = []string{
	"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "USERPROFILE", "AppData", "LocalAppData", "BROWSER",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
}

// secretVariables hold secrets where they belong. A token is no part of any
// message.
var secretVariables = []string{"DOCKER_GITEA_TOKEN", "GITEA_TOKEN"}

// longEnough is a secret that no other text is likely to hold.
const longEnough = 8

func (h hidden) hideEnvironment(getenv func(string) string) {
	h.hidePath(getenv(options.EnvironmentVariable("key")))
	for _, variable := range readElsewhere {
		h.AddShaped(getenv(variable))
	}
	for _, variable := range secretVariables {
		if secret := strings.TrimSpace(getenv(variable)); len(secret) >= longEnough {
			h.Add(secret)
		}
	}
}

// hideCredential hides a credential in use, which a server may send back.
func (h hidden) hideCredential(c registry.AuthConfig) {
	for _, secret := range []string{c.Password, c.Token} {
		if len(secret) >= longEnough {
			h.Add(secret)
		}
	}
}

// hideSpec hides what stands beside a secret and leads nowhere.
func (h hidden) hideSpec(spec v1alpha1.RegistrySpec, getenv func(string) string) {
	h.hidePath(spec.KeyFile)
	if source := spec.Credential; source != nil {
		h.hidePath(source.File)
		if getenv(source.Env) == "" && strings.ToUpper(source.Env) != source.Env {
			h.Add(source.Env)
		}
	}
}

// hideFile hides what looks like a secret in the configuration file, which has
// no place for one. The error of a file that is no YAML may have a word of it.
func (h hidden) hideFile(content []byte) {
	var document yaml.Node
	if yaml.Unmarshal(content, &document) == nil {
		h.hideNode(&document)
		return
	}
	for word := range strings.FieldsSeq(string(content)) {
		h.AddShaped(strings.Trim(word, `*&!'",:[]{}`))
	}
}

func (h hidden) hideNode(node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		h.AddShaped(node.Value)
	}
	for i, part := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 {
			switch node.Content[i-1].Value {
			case "password", "token", "secret":
				h.Add(part.Value) // no such field, which the error says
			}
		}
		h.hideNode(part)
	}
}
