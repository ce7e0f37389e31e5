package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// sourceKind is where an image is read from.
type sourceKind int

const (
	sourceDaemon sourceKind = iota
	sourcePath
	sourceStdin
	sourceRegistry
)

// source is the SOURCE argument.
type source struct {
	kind sourceKind
	// name is the image's name or ID, the path, or that of the image in a
	// registry as it was written.
	name string
	// transport is skopeo's word before a path, if there was one, and image
	// which of the images in the file is meant.
	transport, image string
	// remote is the image of a registry.
	remote remoteImage
}

// String is how the source can be written as an argument.
func (s source) String() string {
	switch {
	case s.kind == sourceDaemon && (looksLikePath(s.name) || transportOf(s.name) != "" || strings.HasPrefix(s.name, registryPrefix)):
		return daemonPrefix + s.name
	case s.image != "":
		return s.transport + s.name + ":" + s.image
	}
	return s.transport + s.name
}

// daemonPrefix says that an image of the daemon is meant, whatever there is
// on the disk. It is skopeo's word; "docker:" would be the image docker.
const daemonPrefix = "docker-daemon:"

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

// parseSource tells what a SOURCE argument means:
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
func parseSource(arg string, isLayout func(path string) bool) source {
	if arg == "-" {
		return source{kind: sourceStdin, name: "-"}
	}
	if name, found := strings.CutPrefix(arg, daemonPrefix); found {
		return source{kind: sourceDaemon, name: name}
	}
	if name, found := strings.CutPrefix(arg, registryPrefix); found {
		return source{kind: sourceRegistry, transport: registryPrefix, name: name}
	}
	if transport := transportOf(arg); transport != "" {
		return parseTransport(transport, strings.TrimPrefix(arg, transport))
	}
	if looksLikePath(arg) || isLayout(arg) {
		return source{kind: sourcePath, name: arg}
	}
	return source{kind: sourceDaemon, name: arg}
}

// parseTransport divides PATH[:IMAGE], as skopeo does: at the first colon that
// is not that of a drive.
func parseTransport(transport, rest string) source {
	s := source{kind: sourcePath, transport: transport, name: rest}
	if transport != "dir:" {
		drive := filepath.VolumeName(rest)
		path, image, _ := strings.Cut(rest[len(drive):], ":")
		s.name, s.image = drive+path, image
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

// isLayoutDir reports whether path is a directory with an OCI layout
// (image-spec, image-layout.md).
func isLayoutDir(path string) bool {
	info, err := os.Stat(filepath.Join(path, "oci-layout"))
	return err == nil && info.Mode().IsRegular()
}

// open opens a source that is no image of the daemon. It works once for
// standard input. The caller calls close.
func (s source) open(ctx context.Context, stdin io.Reader, opts *image.Options) (opened *image.Source, closer func() error, err error) {
	if s.kind == sourcePath {
		if opened, err = image.Open(s.name, opts); err != nil {
			return nil, nil, s.meantImage(err)
		}
		return opened, opened.Close, nil
	}
	stream := interruptible(ctx, stdin)
	if opened, err = image.Read(stream, "standard input", opts); err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	return opened, func() error { return errors.Join(opened.Close(), stream.Close()) }, nil
}

// meantImage adds to a path that there is not that its first word could be the
// name of an image.
func (s source) meantImage(err error) error {
	if s.transport == "" || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fault.WithHint(err, fmt.Sprintf("%q begins a path; for an image of the docker daemon write %s%s", s.transport, daemonPrefix, s))
}

// interruptible returns a reader of r that ends with ctx. A terminal or pipe
// cannot be interrupted while it is read, so a goroutine does that and is
// left behind if need be; the process is about to end then.
func interruptible(ctx context.Context, r io.Reader) io.ReadCloser {
	reader, writer := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(writer, r)
		_ = writer.CloseWithError(err)
		stop()
	}()
	return reader
}

// defaultDestination is the SOURCE itself where it names a registry.
func defaultDestination(src source) (string, error) {
	if src.kind != sourceDaemon {
		return "", fault.Usage(errors.New("a DESTINATION is needed: HOST/OWNER/NAME[:TAG]"))
	}
	ref, err := registry.ParseReference(src.name)
	if err == nil && ref.Host != "" {
		return src.name, nil
	}
	return "", fault.Usage(fault.WithHint(fmt.Errorf("%q names no registry, so a DESTINATION is needed", src.name),
		fmt.Sprintf("docker gitea push %s HOST/OWNER/%s", src.name, baseName(src.name))))
}

func baseName(name string) string { return name[strings.LastIndex(name, "/")+1:] }
