package source

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// RegistryPrefix says that SOURCE is an image of a registry. It is skopeo's word.
const RegistryPrefix = "docker://"

// RegistryImage is an image of a registry as a SOURCE.
type RegistryImage struct {
	Host, Repository string
	// Version is a tag or a digest; empty stands for all tags.
	Version string
}

// Name is the image without its version.
func (r RegistryImage) Name() string { return r.Host + "/" + r.Repository }

func (r RegistryImage) String() string {
	switch {
	case r.Version == "":
		return r.Name()
	case strings.Contains(r.Version, ":"):
		return r.Name() + "@" + r.Version
	}
	return r.Name() + ":" + r.Version
}

// ParseRegistryImage reads [HOST/]NAME[:TAG][@DIGEST] as docker does: without a
// Host it is on Docker Hub, without a tag it is "latest", and a digest counts
// more than a tag beside it.
func ParseRegistryImage(name string) (RegistryImage, error) {
	if _, rest, found := strings.Cut(name, "://"); found {
		return RegistryImage{}, fault.Usage(&registry.NameError{Input: name, Fault: "a reference has no scheme", Suggestion: rest})
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return RegistryImage{}, fault.Usage(fmt.Errorf("%s%s: %w", RegistryPrefix, name, err))
	}
	host, err := registry.NormalizeHost(reference.Domain(named))
	if err != nil {
		return RegistryImage{}, fault.Usage(err)
	}
	r := RegistryImage{Host: host, Repository: reference.Path(named), Version: "latest"}
	if tagged, ok := named.(reference.Tagged); ok {
		r.Version = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.Version = digested.Digest().String()
	}
	return r, nil
}
