package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// imageRef is what a command looks at on a registry: all of it, what an owner
// has, an image, or one version of an image.
type imageRef struct {
	host      string
	plainHTTP bool
	// port443 says that this port was given, which host leaves out.
	port443 bool
	// owner and name are empty where all of them are meant.
	owner, name string
	// reference is a tag or a digest, or empty.
	reference string
	// misread is what to do for who meant another registry by it; mostly empty.
	misread string
}

// parseRemote reads [HOST/][OWNER[/NAME[:TAG|@DIGEST]]], with or without a
// scheme.
func parseRemote(arg string, n naming) (imageRef, error) {
	var r imageRef
	scheme, rest := cutScheme(arg)
	r.plainHTTP = scheme == "http://"
	first, after, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	owner := scheme == "" && n.isOwner(rest)
	if owner {
		r.misread = n.misread(rest)
	}
	if looksLikeHost(first) && !owner {
		rest = after
	} else if first = n.host; first == "" {
		return r, fault.Usage(fault.WithHint(fmt.Errorf("%q names no registry", arg), fmt.Sprintf("write HOST/%s, or set DOCKER_GITEA_HOST", arg)))
	}
	var err error
	// Which port is left out depends on the scheme.
	if r.host, err = registry.NormalizeHost(scheme + first); err != nil {
		return r, fault.Usage(err)
	}
	r.port443 = strings.HasSuffix(first, ":443") && !r.plainHTTP
	rest = strings.TrimSuffix(rest, "/")
	if !strings.Contains(rest, "/") {
		r.owner = strings.ToLower(rest)
		return r, r.checkOwner()
	}
	return r, r.parseImage(rest)
}

// cutScheme separates "https://" or whatever else stands before a host.
func cutScheme(address string) (scheme, rest string) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return "", address
	}
	return strings.ToLower(scheme) + "://", rest
}

// refusePort443 keeps a credential for port 443 from port 80: that is where plain
// HTTP goes once the port has been left out.
func refusePort443(host string) error {
	return fault.Usage(fault.WithHint(fmt.Errorf("%s:443 is asked for, which is the port of HTTPS, and so is plain HTTP", host),
		"leave out one of the two; ls, rm, open, link and check take http://"+host+":443"))
}

// checkOwner refuses what no owner can be called.
func (r *imageRef) checkOwner() error {
	if r.owner == "" {
		return nil
	}
	_, err := registry.ParseReference(r.host + "/" + r.owner + "/image")
	if fault, ok := errors.AsType[*registry.NameError](err); ok {
		return &registry.NameError{Input: r.owner, Fault: fault.Fault}
	}
	return err
}

// parseImage reads OWNER/NAME[:TAG][@DIGEST]. A digest counts more than a tag
// beside it, as it does for docker.
func (r *imageRef) parseImage(s string) error {
	name, after, digested := strings.Cut(s, "@")
	ref, err := registry.ParseReference(r.host + "/" + name) // an owner may look like a host
	if err != nil {
		return err
	}
	r.owner, r.name = ref.Owner(), ref.Name()
	switch {
	case digested:
		if _, err := digest.Parse(after); err != nil {
			return fault.Usage(fmt.Errorf("%q: %w", s, err))
		}
		r.reference = after
	case hasTag(name):
		r.reference = ref.Tag
	}
	return nil
}

// parseImages reads arguments that are to be images.
func (a *app) parseImages(ctx context.Context, args []string) ([]imageRef, error) {
	names, err := a.naming(ctx)
	if err != nil {
		return nil, err
	}
	var all []imageRef
	for _, arg := range args {
		r, err := parseRemote(arg, names)
		if err == nil && r.name == "" {
			err = fault.Usage(fmt.Errorf("%q names no image: HOST/OWNER/NAME is needed", arg))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// repository is "owner/name".
func (r imageRef) repository() string { return r.owner + "/" + r.name }

// byDigest reports whether the version is named by its digest.
func (r imageRef) byDigest() bool { return strings.Contains(r.reference, ":") }

// familiar is the image with its host and without its version.
func (r imageRef) familiar() string { return r.host + "/" + r.repository() }

func (r imageRef) String() string {
	switch {
	case r.reference == "":
		return r.familiar()
	case r.byDigest():
		return r.familiar() + "@" + r.reference
	}
	return r.familiar() + ":" + r.reference
}
