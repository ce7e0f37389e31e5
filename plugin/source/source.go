// Package source says what the SOURCE of a push is, and opens what is on the disk
// or on standard input. It asks neither a daemon nor a registry.
//
// It takes a word and gives a kind with what it opened; it reads files and standard input.
// Begin with source.go.
//
//   - source.go: the kinds, and how a word is understood;
//   - registry.go: the name of an image in a registry;
//   - compose.go: the images of a compose project, and those that bake made.
package source

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Kind is where an image is read from.
type Kind int

const (
	// Daemon is an image of the docker daemon.
	Daemon Kind = iota
	// Path is a file or a directory.
	Path
	// Stdin is an archive on standard input.
	Stdin
	// Registry is an image of a registry.
	Registry
)

// Source is the SOURCE argument.
type Source struct {
	Kind Kind
	// Name is the image's name or ID, the path, or that of the image in a
	// registry as it was written.
	Name string
	// transport is skopeo's word before a path, if there was one.
	transport string
	// Image is which of the images in a file is meant, where SOURCE says so.
	Image string
	// Remote is the image of a registry.
	Remote RegistryImage
	// own are the names that a file gives the image, without what is before the
	// last "/".
	own []string
}

// String is how the source can be written as an argument.
func (s Source) String() string {
	switch {
	case s.Kind == Daemon && (looksLikePath(s.Name) || transportOf(s.Name) != "" || strings.HasPrefix(s.Name, RegistryPrefix)):
		return DaemonPrefix + s.Name
	case s.Image != "":
		return s.transport + s.Name + ":" + s.Image
	}
	return s.transport + s.Name
}

// DaemonPrefix says that an image of the daemon is meant, whatever there is
// on the disk. It is skopeo's word; "docker:" would be the image docker.
const DaemonPrefix = "docker-daemon:"

// transports are skopeo's words for what is on the disk. Behind the path of all
// but the last may stand which image is meant.
var transports = []string{"oci:", "oci-archive:", "docker-archive:", "dir:"}

func transportOf(arg string) string {
	i := slices.IndexFunc(transports, func(t string) bool { return strings.HasPrefix(arg, t) })
	if i < 0 {
		return ""
	}
	return transports[i]
}

// Parse tells what a SOURCE argument means:
//
//   - "-" is standard input;
//   - "docker://HOST/NAME[:TAG|@DIGEST]" is an image of a registry;
//   - "docker-daemon:NAME" is an image of the daemon;
//   - "oci:PATH", "oci-archive:PATH" and "docker-archive:PATH", with ":IMAGE"
//     behind where the file holds several, and "dir:PATH" are paths;
//   - what is written like a path (absolute, or beginning with ./ or ../), or
//     ends like an archive (.tar, .tar.gz, …), is a path;
//   - a directory that holds an OCI layout is a path;
//   - anything else is an image of the daemon. A file app beside an image app
//     is no path, since programs and directories often have their image's name.
//
// isLayout looks whether a path is a directory with an OCI layout.
func Parse(arg string, isLayout func(path string) bool) Source {
	if arg == "-" {
		return Source{Kind: Stdin, Name: "-"}
	}
	if name, found := strings.CutPrefix(arg, DaemonPrefix); found {
		return Source{Kind: Daemon, Name: name}
	}
	if name, found := strings.CutPrefix(arg, RegistryPrefix); found {
		return Source{Kind: Registry, transport: RegistryPrefix, Name: name}
	}
	if transport := transportOf(arg); transport != "" {
		return parseTransport(transport, strings.TrimPrefix(arg, transport))
	}
	if looksLikePath(arg) || isLayout(arg) {
		return Source{Kind: Path, Name: arg}
	}
	return Source{Kind: Daemon, Name: arg}
}

// parseTransport divides PATH[:IMAGE], as skopeo does: at the first colon that
// is not that of a drive.
func parseTransport(transport, rest string) Source {
	s := Source{Kind: Path, transport: transport, Name: rest}
	if transport != "dir:" {
		drive := filepath.VolumeName(rest)
		path, image, _ := strings.Cut(rest[len(drive):], ":")
		s.Name, s.Image = drive+path, image
	}
	return s
}

var archiveSuffixes = []string{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.zstd", ".tar.bz2", ".tar.xz"}

func looksLikePath(arg string) bool {
	slashed := filepath.ToSlash(arg)
	return filepath.IsAbs(arg) || slashed == "." || slashed == ".." ||
		strings.HasPrefix(slashed, "./") || strings.HasPrefix(slashed, "../") || strings.HasPrefix(slashed, "/") ||
		slices.ContainsFunc(archiveSuffixes, func(suffix string) bool { return strings.HasSuffix(slashed, suffix) })
}

// IsLayout reports whether path is a directory with an OCI layout
// (image-spec, image-layout.md).
func IsLayout(path string) bool {
	info, err := os.Stat(filepath.Join(path, "oci-layout"))
	return err == nil && info.Mode().IsRegular()
}

// Open opens a source on the disk or on standard input; stdin gives the bytes of the
// latter, once. The caller calls closer.
func (s Source) Open(stdin func() io.ReadCloser, opts *image.Options) (opened *image.Source, closer func() error, err error) {
	if s.Kind == Path {
		if opened, err = image.Open(s.Name, opts); err != nil {
			return nil, nil, s.meantImage(err)
		}
		return opened, opened.Close, nil
	}
	stream := stdin()
	if opened, err = image.Read(stream, "standard input", opts); err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	return opened, func() error { return errors.Join(opened.Close(), stream.Close()) }, nil
}

// meantImage adds to a path that there is not that its first word could be the
// Name of an image.
func (s Source) meantImage(err error) error {
	if s.transport == "" || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fault.WithHint(err, fmt.Sprintf("%q begins a path; for an image of the docker daemon write %s%s", s.transport, DaemonPrefix, s))
}

// Destination is where a SOURCE goes that is given alone: to itself where it names
// a registry.
func (s Source) Destination() (string, error) {
	if s.Kind != Daemon {
		return "", fault.Usage(errors.New("a DESTINATION is needed: HOST/OWNER/NAME[:TAG]"))
	}
	ref, err := registry.ParseReference(s.Name)
	if err == nil && ref.Host != "" {
		return s.Name, nil
	}
	return "", fault.Usage(fault.WithHint(fmt.Errorf("%q names no registry, so a DESTINATION is needed", s.Name),
		fmt.Sprintf("docker gitea push %s HOST/OWNER/%s", s.Name, baseName(s.Name))))
}

// Each gives every image of a file as a source of its own, called what the file
// calls it.
func (s Source) Each() ([]Source, error) {
	held, err := image.List(s.Name)
	if err != nil {
		return nil, s.meantImage(err)
	}
	var all []Source
	for _, h := range held {
		if len(h.References) == 0 {
			return nil, fault.Usage(fault.WithHint(fmt.Errorf("an image of %s has no name: %s", s, h.Select), "push it for itself, with --image and a DESTINATION"))
		}
		one := s
		one.transport, one.Image = cmp.Or(s.transport, "docker-archive:"), h.References[0]
		for _, reference := range h.References {
			name, _, _ := strings.Cut(reference, "@")
			one.own = append(one.own, baseName(name))
		}
		all = append(all, one)
	}
	return all, nil
}

// IsOfFile reports a source that [Source.Each] gave.
func (s Source) IsOfFile() bool { return len(s.own) > 0 }

// OwnNames are the last parts of the image's names, with the tag where there is
// one: "app:1". Only an image of [Source.Each] has several. selected is which image
// of a file is meant, where the SOURCE itself does not say.
func (s Source) OwnNames(selected string) ([]string, error) {
	if len(s.own) > 0 {
		return s.own, nil
	}
	name, err := s.ownName(selected)
	return []string{name}, err
}

func (s Source) ownName(selected string) (string, error) {
	switch s.Kind {
	case Daemon:
		name, _, _ := strings.Cut(s.Name, "@")
		if !imageID.MatchString(name) {
			return baseName(name), nil
		}
	case Registry:
		if strings.Contains(s.Remote.Version, ":") {
			return baseName(s.Remote.Repository), nil
		}
		return baseName(s.Remote.Repository) + ":" + s.Remote.Version, nil
	case Path:
		return s.heldName(cmp.Or(s.Image, selected))
	case Stdin:
	}
	return "", s.nameless()
}

// imageID is an ID of the daemon, or the beginning of one as it is shown.
var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{12,64}$`)

// heldName is the name of the one image of a file that is meant.
func (s Source) heldName(selected string) (string, error) {
	if selected == "" {
		held, err := image.List(s.Name)
		if err != nil {
			return "", s.meantImage(err)
		}
		if len(held) == 1 && len(held[0].References) > 0 {
			selected = held[0].References[0]
		}
	}
	if selected == "" || strings.HasPrefix(selected, "@") || !strings.ContainsAny(selected, "/:") || imageID.MatchString(selected) {
		return "", s.nameless()
	}
	name, _, _ := strings.Cut(selected, "@")
	return baseName(name), nil
}

func (s Source) nameless() error {
	return fault.Usage(fault.WithHint(fmt.Errorf("%s has no name of its own", s), "write the DESTINATION in full: HOST/OWNER/NAME[:TAG]"))
}

func baseName(name string) string { return name[strings.LastIndex(name, "/")+1:] }
