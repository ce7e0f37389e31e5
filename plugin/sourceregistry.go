package plugin

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// registryPrefix says that SOURCE is an image of a registry. It is skopeo's word.
const registryPrefix = "docker://"

// remoteImage is an image of a registry as a SOURCE.
type remoteImage struct {
	host, repository string
	// version is a tag or a digest.
	version string
}

func (r remoteImage) String() string {
	if strings.Contains(r.version, ":") {
		return r.host + "/" + r.repository + "@" + r.version
	}
	return r.host + "/" + r.repository + ":" + r.version
}

// parseRemoteImage reads [HOST/]NAME[:TAG][@DIGEST] as docker does: without a
// host it is on Docker Hub, without a tag it is "latest", and a digest counts
// more than a tag beside it.
func parseRemoteImage(name string) (remoteImage, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return remoteImage{}, fault.Usage(fmt.Errorf("%s%s: %w", registryPrefix, name, err))
	}
	host, err := registry.NormalizeHost(reference.Domain(named))
	if err != nil {
		return remoteImage{}, fault.Usage(err)
	}
	r := remoteImage{host: host, repository: reference.Path(named), version: "latest"}
	if tagged, ok := named.(reference.Tagged); ok {
		r.version = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.version = digested.Digest().String()
	}
	return r, nil
}
