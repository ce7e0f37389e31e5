package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// boundTo says which registries a setting is for. None of them is ever for the
// target of a redirect, which package registry sees to.
type boundTo string

const (
	// toNamed: those that the command names. The registry that a layer comes
	// from is none of them.
	toNamed boundTo = "the registries that the command names"
	// toVariable is what holds for variables: that of DOCKER_GITEA_HOST, or
	// where that is not set, the one that the command names.
	toVariable boundTo = "DOCKER_GITEA_HOST, or else the one registry that the command names"
	// toServer: that of the variable that the program which sets both sets.
	toServer boundTo = "GITEA_SERVER_URL or GITHUB_SERVER_URL, or else DOCKER_GITEA_HOST"
	// toHost: that of DOCKER_GITEA_HOST, and no other.
	toHost boundTo = "DOCKER_GITEA_HOST"
	// toEntry: that of the entry's url.
	toEntry boundTo = "the url of its entry, which it needs"
	// toEntries: that of the entry's url, or every registry where it has none.
	toEntries boundTo = "the url of its entry, or every registry without one"
	// toKey: the one that it is kept under, by name and port.
	toKey boundTo = "the registry that it is kept under"
)

// trustMap has every setting that carries trust to a registry, such as a
// credential, or weakens what is asked of it. "--" begins an option, "spec." a
// field of the configuration file.
var trustMap = []struct {
	setting string
	host    boundTo
}{
	{"--insecure", toNamed},
	{"--plain-http", toNamed},
	{"--ca-file", toNamed},
	{"--cert", toNamed},
	{"--key", toNamed},
	{"--username", toNamed},
	{"--password-stdin", toNamed},
	{"http:// in an argument", toNamed},

	{"DOCKER_GITEA_INSECURE", toVariable},
	{"DOCKER_GITEA_PLAIN_HTTP", toVariable},
	{"DOCKER_GITEA_CA_FILE", toVariable},
	{"DOCKER_GITEA_CERT", toVariable},
	{"DOCKER_GITEA_KEY", toVariable},
	{"DOCKER_GITEA_USERNAME", toVariable},
	{"DOCKER_GITEA_TOKEN", toHost},
	{"GITEA_TOKEN", toServer},

	{"spec.url", toEntry}, // http:// is plain HTTP
	{"spec.insecure", toEntry},
	{"spec.certFile", toEntry},
	{"spec.keyFile", toEntry},
	{"spec.credential.env", toEntry},
	{"spec.credential.file", toEntry},
	{"spec.credential.username", toEntry},
	{"spec.credential.helper", toEntries},
	{"spec.credential.dockerConfig", toEntries},
	{"spec.caFiles", toEntries},
	{"spec.caData", toEntries},

	{"DOCKER_AUTH_CONFIG", toKey},
	{"auths in config.json", toKey},
	{"credHelpers in config.json", toKey},
	{"credsStore in config.json", toKey},
	{"auths in auth.json", toKey},
	{"credHelpers in auth.json", toKey},
	{"certs.d", toKey},
	{"docker gitea trust", toKey},
}

// boundVariables are the variables that hold for one registry alone, without
// saying for which.
var boundVariables = func() map[string]bool {
	variables := map[string]bool{}
	for _, row := range trustMap {
		if row.host == toVariable {
			variables[row.setting] = true
		}
	}
	return variables
}()

// variable is the value of an option's variable where that counts for host, and
// nothing else. An empty host is none in particular.
func (l layers) variable(option, host string) (name, value string, err error) {
	name = environmentVariable(option)
	if name == "" || l.getenv(name) == "" {
		return name, "", nil
	}
	if !boundVariables[name] || host == "" {
		return name, l.getenv(name), nil
	}
	bound, err := l.variablesFor()
	if err != nil {
		return name, "", fault.Usage(fault.WithHint(fmt.Errorf("%s: %w", name, err),
			fmt.Sprintf("set DOCKER_GITEA_HOST to that one, or give --%s, which is for all of them, or write it into gitea.yaml for one: docs/configuration.md", option)))
	}
	if bound != host || !slices.Contains(l.named, host) {
		return name, "", nil
	}
	return name, l.getenv(name), nil
}

// variablesFor is the registry that the variables of trustMap are for.
func (l layers) variablesFor() (host string, err error) {
	const variable = "DOCKER_GITEA_HOST"
	if l.getenv(variable) != "" {
		if host, err = registry.NormalizeHost(l.getenv(variable)); err != nil {
			return "", fmt.Errorf("%s: %w", variable, err)
		}
		return host, nil
	}
	hosts := slices.Compact(slices.Sorted(slices.Values(l.named)))
	switch len(hosts) {
	case 0:
		return "", nil
	case 1:
		return hosts[0], nil
	}
	return "", errors.New("it is for one registry, and the command names several: " + strings.Join(hosts, ", "))
}

// withoutTrust hides the variables of trustMap.
func withoutTrust(getenv func(string) string) func(string) string {
	return func(name string) string {
		if boundVariables[name] {
			return ""
		}
		return getenv(name)
	}
}
