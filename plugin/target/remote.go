package target

import (
	"errors"
	"fmt"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// Remote is what a command looks at on a registry: all of it, what an owner
// has, an image, or one version of an image.
type Remote struct {
	Host      string
	PlainHTTP bool
	// Port443 says that this port was given, which host leaves out.
	Port443 bool
	// Owner and Name are empty where all of them are meant.
	Owner, Name string
	// Reference is a tag or a digest, or empty.
	Reference string
	// Misread is what to do for who meant another registry by it; mostly empty.
	Misread string
}

// ParseRemote reads [HOST/][OWNER[/NAME[:TAG|@DIGEST]]], with or without a
// scheme.
func ParseRemote(arg string, n Naming) (Remote, error) {
	var r Remote
	scheme, rest := CutScheme(arg)
	r.PlainHTTP = scheme == "http://"
	first, after, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	owner := scheme == "" && after != "" && n.isOwner(first)
	if owner {
		r.Misread = n.Misread(rest)
	}
	if looksLikeHost(first) && !owner {
		rest = after
	} else if first = n.Host; first == "" {
		return r, fault.Usage(fault.WithHint(fmt.Errorf("%q names no registry", arg), fmt.Sprintf("write HOST/%s, or set DOCKER_GITEA_HOST", arg)))
	}
	var err error
	// Which port is left out depends on the scheme.
	if r.Host, err = registry.NormalizeHost(scheme + first); err != nil {
		return r, fault.Usage(err)
	}
	r.Port443 = strings.HasSuffix(first, ":443") && !r.PlainHTTP
	rest = strings.TrimSuffix(rest, "/")
	if !strings.Contains(rest, "/") {
		r.Owner = strings.ToLower(rest)
		return r, r.checkOwner()
	}
	return r, r.parseImage(rest)
}

// CutScheme separates "https://" or whatever else stands before a host.
func CutScheme(address string) (scheme, rest string) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return "", address
	}
	return strings.ToLower(scheme) + "://", rest
}

// RefusePort443 keeps a credential for port 443 from port 80: that is where plain
// HTTP goes once the port has been left out.
func RefusePort443(host string) error {
	return fault.Usage(fault.WithHint(fmt.Errorf("%s:443 is asked for, which is the port of HTTPS, and so is plain HTTP", host),
		"leave out one of the two; ls, rm, open, link and check take http://"+host+":443"))
}

// checkOwner refuses what no owner can be called.
func (r *Remote) checkOwner() error {
	if r.Owner == "" {
		return nil
	}
	_, err := registry.ParseReference(r.Host + "/" + r.Owner + "/image")
	if fault, ok := errors.AsType[*registry.NameError](err); ok {
		return &registry.NameError{Input: r.Owner, Fault: fault.Fault}
	}
	return err
}

// parseImage reads OWNER/NAME[:TAG][@DIGEST]. A digest counts more than a tag
// beside it, as it does for docker.
func (r *Remote) parseImage(s string) error {
	name, after, digested := strings.Cut(s, "@")
	ref, err := registry.ParseReference(r.Host + "/" + name) // an owner may look like a host
	if err != nil {
		return err
	}
	r.Owner, r.Name = ref.Owner(), ref.Name()
	switch {
	case digested:
		if _, err := digest.Parse(after); err != nil {
			return fault.Usage(fmt.Errorf("%q: %w", s, err))
		}
		r.Reference = after
	case HasTag(name):
		r.Reference = ref.Tag
	}
	return nil
}

// Repository is "owner/name".
func (r Remote) Repository() string { return r.Owner + "/" + r.Name }

// ByDigest reports whether the version is named by its digest.
func (r Remote) ByDigest() bool { return strings.Contains(r.Reference, ":") }

// Familiar is the image with its host and without its version.
func (r Remote) Familiar() string { return r.Host + "/" + r.Repository() }

func (r Remote) String() string {
	switch {
	case r.Reference == "":
		return r.Familiar()
	case r.ByDigest():
		return r.Familiar() + "@" + r.Reference
	}
	return r.Familiar() + ":" + r.Reference
}
