package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// BoundTo says which registries a setting is for. None of them is ever for the
// target of a redirect, which package registry sees to.
type BoundTo string

const (
	// ToNamed is those that the command names. The registry that a layer comes
	// from is none of them.
	ToNamed BoundTo = "the registries that the command names"
	// ToVariable is what holds for variables: that of DOCKER_GITEA_HOST, or
	// where that is not set, the one that the command names.
	ToVariable BoundTo = "DOCKER_GITEA_HOST, or else the one registry that the command names"
	// ToServer is that of the variable that the program which sets both sets.
	ToServer BoundTo = "GITEA_SERVER_URL or GITHUB_SERVER_URL, or else DOCKER_GITEA_HOST"
	// ToHost is that of DOCKER_GITEA_HOST, and no other.
	ToHost BoundTo = "DOCKER_GITEA_HOST"
	// ToEntry is that of the entry's url.
	ToEntry BoundTo = "the url of its entry, which it needs"
	// ToEntries is that of the entry's url, or every registry where it has none.
	ToEntries BoundTo = "the url of its entry, or every registry without one"
	// ToKey is the one that it is kept under, by name and port.
	ToKey BoundTo = "the registry that it is kept under"
)

// Bound is a setting, and the registries that it is for. "--" begins an option,
// "spec." a field of the configuration file.
type Bound struct {
	Setting string
	Host    BoundTo
}

// TrustMap has every setting that carries trust to a registry, such as a
// credential, or weakens what is asked of it.
var TrustMap = []Bound{
	{"--insecure", ToNamed},
	{"--plain-http", ToNamed},
	{"--ca-file", ToNamed},
	{"--cert", ToNamed},
	{"--key", ToNamed},
	{"--username", ToNamed},
	{"--password-stdin", ToNamed},
	{"http:// in an argument", ToNamed},

	{"DOCKER_GITEA_INSECURE", ToVariable},
	{"DOCKER_GITEA_PLAIN_HTTP", ToVariable},
	{"DOCKER_GITEA_CA_FILE", ToVariable},
	{"DOCKER_GITEA_CERT", ToVariable},
	{"DOCKER_GITEA_KEY", ToVariable},
	{"DOCKER_GITEA_USERNAME", ToVariable},
	{"DOCKER_GITEA_TOKEN", ToHost},
	{"GITEA_TOKEN", ToServer},

	{"spec.url", ToEntry}, // http:// is plain HTTP
	{"spec.insecure", ToEntry},
	{"spec.certFile", ToEntry},
	{"spec.keyFile", ToEntry},
	{"spec.credential.env", ToEntry},
	{"spec.credential.file", ToEntry},
	{"spec.credential.username", ToEntry},
	{"spec.credential.helper", ToEntries},
	{"spec.credential.dockerConfig", ToEntries},
	{"spec.caFiles", ToEntries},
	{"spec.caData", ToEntries},

	{"DOCKER_AUTH_CONFIG", ToKey},
	{"auths in config.json", ToKey},
	{"credHelpers in config.json", ToKey},
	{"credsStore in config.json", ToKey},
	{"auths in auth.json", ToKey},
	{"credHelpers in auth.json", ToKey},
	{"certs.d", ToKey},
	{"docker gitea trust", ToKey},
}

// boundVariables are the variables that hold for one registry alone, but do not name
// it.
var boundVariables = func() map[string]bool {
	variables := map[string]bool{}
	for _, row := range TrustMap {
		if row.Host == ToVariable {
			variables[row.Setting] = true
		}
	}
	return variables
}()

// variable is the value of an option's variable where that counts for host, and
// nothing else. An empty host is none in particular.
func (l Layers) variable(option, host string) (name, value string, err error) {
	name = EnvironmentVariable(option)
	if name == "" || l.Getenv(name) == "" {
		return name, "", nil
	}
	if !boundVariables[name] || host == "" {
		return name, l.Getenv(name), nil
	}
	bound, err := l.variablesFor()
	if err != nil {
		return name, "", fault.Usage(fault.WithHint(fmt.Errorf("%s: %w", name, err),
			fmt.Sprintf("set DOCKER_GITEA_HOST to that one, or give --%s, which is for all of them, or write it into gitea.yaml for one: docs/configuration.md", option)))
	}
	if bound != host || !slices.Contains(l.Named, host) {
		return name, "", nil
	}
	return name, l.Getenv(name), nil
}

// variablesFor is the registry that the variables of trustMap are for.
func (l Layers) variablesFor() (host string, err error) {
	const variable = "DOCKER_GITEA_HOST"
	if l.Getenv(variable) != "" {
		if host, err = registry.NormalizeHost(l.Getenv(variable)); err != nil {
			return "", fmt.Errorf("%s: %w", variable, err)
		}
		return host, nil
	}
	hosts := slices.Compact(slices.Sorted(slices.Values(l.Named)))
	switch len(hosts) {
	case 0:
		return "", nil
	case 1:
		return hosts[0], nil
	}
	return "", errors.New("it is for one registry, and the command names several: " + strings.Join(hosts, ", "))
}

// WithoutTrust hides the variables of trustMap.
func WithoutTrust(getenv func(string) string) func(string) string {
	return func(name string) string {
		if boundVariables[name] {
			return ""
		}
		return getenv(name)
	}
}
