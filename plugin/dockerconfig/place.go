package dockerconfig

import (
	"fmt"
	"strings"

	"github.com/docker/cli/cli/config/types"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Place is what a login is wanted for.
type Place struct {
	// Host is in the form of [registry.NormalizeHost].
	Host string
	// PlainHTTP says that it is spoken there: port 80 is left out of Host then,
	// and not 443.
	PlainHTTP bool
	// Repository is "owner/name" or "owner", or empty for the whole host.
	Repository string
}

// DockerHub is the host of a [Place] on Docker Hub. Docker keeps its login under
// one address, wherever the registry is.
const (
	DockerHub        = "index.docker.io"
	dockerHubAddress = "https://index.docker.io/v1/"
)

// hosts are the spellings of the host that lead to the same port. Docker keeps
// a login under the one that was typed.
func (p Place) hosts() []string {
	if strings.Contains(p.Host[strings.LastIndex(p.Host, "]")+1:], ":") {
		return []string{p.Host}
	}
	if p.PlainHTTP {
		return []string{p.Host, p.Host + ":80"}
	}
	return []string{p.Host, p.Host + ":443"}
}

// key is the entry of a file that holds the login for the place: the longest
// namespace that the repository is in, or else the host. Entries of other
// namespaces are not for it.
//
// Source: containers-auth.json(5).
func (p Place) key(entries map[string]types.AuthConfig) string {
	for namespace := p.Repository; namespace != ""; namespace = parent(namespace) {
		for _, host := range p.hosts() {
			if key, found := spelled(entries, host+"/"+namespace); found {
				return key
			}
		}
	}
	for _, host := range p.hosts() {
		for _, address := range addresses(host) {
			if key, found := spelled(entries, address); found {
				return key
			}
		}
	}
	return ""
}

// spelled is the key as a file spells it: docker keeps a login under the host as it
// was typed, in capitals too. Of several, the exact one counts.
func spelled[V any](entries map[string]V, key string) (found string, exists bool) {
	if _, exact := entries[key]; exact {
		return key, true
	}
	for other := range entries {
		// A letter of another alphabet that folds to one of these is longer.
		if len(other) == len(key) && strings.EqualFold(other, key) && (!exists || other < found) {
			found, exists = other, true
		}
	}
	return found, exists
}

// parent is a namespace without its last part.
func parent(namespace string) string {
	return namespace[:max(strings.LastIndex(namespace, "/"), 0)]
}

// addresses are the forms in which docker has written the key of a host. What
// else there is below it is something else: docker's web login keeps a token
// under https://index.docker.io/v1/access-token.
func addresses(host string) []string {
	all := []string{host}
	for _, path := range []string{"", "/", "/v1/", "/v1", "/v2/", "/v2"} {
		for _, scheme := range []string{"https://", "http://", ""} {
			if scheme+path != "" {
				all = append(all, scheme+host+path)
			}
		}
	}
	return all
}

// fromFile is the entry for the place.
func fromFile(file parsed, p Place) (registry.AuthConfig, error) {
	if err := file.fault(p); err != nil {
		return registry.AuthConfig{}, unreadable{fmt.Errorf("read docker config: %w", err)}
	}
	key := p.key(file.AuthConfigs)
	found := convert(file.AuthConfigs[key])
	found.Origin = registry.Origin{Kind: registry.OriginDocker, Name: key, File: file.path}
	return found, nil
}

// helperFor is the helper that a file names for the place, and the address that
// the login is kept under there.
func helperFor(file parsed, p Place) (name, address string) {
	if p.Host == DockerHub {
		if name, own := file.CredentialHelpers[dockerHubAddress]; own {
			return name, dockerHubAddress
		}
		return file.CredentialsStore, dockerHubAddress
	}
	for _, host := range p.hosts() {
		if key, own := spelled(file.CredentialHelpers, host); own {
			return file.CredentialHelpers[key], key
		}
	}
	// Docker leaves an empty entry under the address.
	for _, host := range p.hosts() {
		if key, kept := spelled(file.AuthConfigs, host); kept {
			return file.CredentialsStore, key
		}
	}
	return file.CredentialsStore, p.Host
}
