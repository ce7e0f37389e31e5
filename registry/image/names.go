package image

import (
	"slices"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// annotationName is the full reference in what containerd and Docker
	// export; the OCI annotation beside it then has the tag alone.
	annotationName = "io.containerd.image.name"
	// annotationSubject marks what containerd exports beside an image because
	// it refers to it: a signature, an attestation.
	annotationSubject = "io.containerd.manifest.subject"
)

// candidate is one image of several in a source.
type candidate struct {
	// id is the same for two candidates that are the same image.
	id    string
	names []string
}

// namesOf are the names that a layout gives an image.
func namesOf(desc ocispec.Descriptor) []string {
	var names []string
	for _, key := range []string{annotationName, ocispec.AnnotationRefName} {
		if name := desc.Annotations[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// choose gives the position of the image that is meant. An empty name means
// the only one.
func choose(file string, candidates []candidate, name string) (int, error) {
	var found []int
	seen := map[string]bool{}
	for i, c := range candidates {
		if !seen[c.id] && (name == "" || c.id == name || slices.ContainsFunc(c.names, func(n string) bool { return sameName(n, name) })) {
			seen[c.id] = true
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(candidates) == 0:
		return 0, fault(ErrNotImage, file, "names no image")
	case len(found) == 0:
		return 0, fault(ErrNoMatch, file, "there is no image %q; there are: %s", clip(name), listNames(candidates))
	}
	return 0, fault(ErrAmbiguous, file, "there are several images, one has to be named: %s", listNames(candidates))
}

// sameName compares references in full: "app" is "docker.io/library/app:latest".
func sameName(a, b string) bool {
	if a == b {
		return true
	}
	refA, errA := reference.ParseDockerRef(a)
	refB, errB := reference.ParseDockerRef(b)
	return errA == nil && errB == nil && refA.String() == refB.String()
}

// listNames says how each candidate can be asked for: by its first name, or by
// its digest.
func listNames(candidates []candidate) string {
	var names []string
	seen := map[string]bool{}
	for _, c := range candidates {
		name := c.id
		if len(c.names) > 0 {
			name = c.names[0]
		}
		if !seen[name] {
			seen[name] = true
			names = append(names, printable(name))
		}
	}
	return list(names)
}
