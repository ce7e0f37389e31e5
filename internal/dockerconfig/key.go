package dockerconfig

import (
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Hub is what docker calls its own registry.
const Hub = "https://index.docker.io/v1/"

// Key is what docker calls the registry at an address when it looks for a
// helper or a login: the host as it is written in the names of images, with
// its port, even if that is 443. An address that is none is an error.
//
// Source: docker/cli cli/config/configfile/file.go, getAuthConfigKey;
// cli/config/credentials/file_store.go, ConvertToHostname.
func Key(address string) (string, error) {
	if _, err := registry.NormalizeHost(address); err != nil {
		return "", err
	}
	host := address
	if _, rest, found := strings.Cut(host, "://"); found {
		host = rest
	}
	host = strings.TrimPrefix(host, "//")
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	switch host = strings.ToLower(host); host {
	case "docker.io", "index.docker.io":
		return Hub, nil
	}
	return host, nil
}
