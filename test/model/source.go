package model

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// kind is the kind of a source, in words.
type kind string

// The kinds of source.
const (
	fromDockerArchive    kind = "docker archive"
	fromClassicExport    kind = "export of the classic store"
	fromLayout           kind = "OCI layout"
	fromContainerdExport kind = "export of the containerd store"
	fromDirectory        kind = "skopeo's dir:"
	fromStdin            kind = "standard input"
	fromClassic          kind = "classic store"
	fromContainerd       kind = "containerd store"
	fromRegistry         kind = "registry"
)

// The commands that take an image of a registry.
const (
	viaPush    = "docker://"
	viaCopy    = "copy"
	viaAllTags = "copy --all-tags"
	viaJoin    = "join"
	viaTag     = "tag"
)

// way is a kind of source, and how an image leaves a daemon or which command brings
// it from a registry: what the pairs of events and sources are counted by.
type way struct {
	kind kind
	via  string
}

func (w way) String() string {
	if w.via == "" {
		return string(w.kind)
	}
	return fmt.Sprintf("%s, via %s", w.kind, w.via)
}

var ways = []way{
	{fromDockerArchive, ""},
	{fromClassicExport, ""},
	{fromLayout, ""},
	{fromContainerdExport, ""},
	{fromDirectory, ""},
	{fromStdin, ""},
	{fromClassic, "auto"},
	{fromClassic, "export"},
	{fromClassic, "daemon"},
	{fromContainerd, "auto"},
	{fromContainerd, "export"},
	{fromContainerd, "daemon"},
	{fromRegistry, viaPush},
	{fromRegistry, viaCopy},
	{fromRegistry, viaAllTags},
	{fromRegistry, viaJoin},
	{fromRegistry, viaTag},
}

// source is what is pushed, of everything that there is.
type source struct {
	way
	// picture and second are the images of a file, where two are in one;
	// chosen says which is asked for by its name.
	picture, second *picture
	chosen          int
	// form is the kind of file that comes on standard input.
	form kind
	// called is the name that a file with one image gives it, if it does.
	called string
	// image is the name of the daemon's image. byID asks for the picture by its
	// ID instead, which may have lost its name.
	image string
	byID  bool
	// remotes are images of registries: one, or those that are joined. What refers to
	// it is asked for and comes along where it is followed; asTags: it comes along
	// because its tags are copied as well.
	remotes          []remote
	followed, asTags bool
}

func (s source) String() string {
	switch {
	case s.kind == fromRegistry:
		var all []string
		for _, r := range s.remotes {
			all = append(all, r.String())
		}
		text := fmt.Sprintf("%s, via %s, %s", s.kind, s.via, strings.Join(all, " and "))
		if s.via != viaTag && s.via != viaJoin && !s.followed {
			text += ", --no-referrers"
		}
		return text
	case s.isDaemon() && s.byID:
		return fmt.Sprintf("%s, the ID of %q, via %s", s.kind, s.picture.name, s.via)
	case s.isDaemon():
		return fmt.Sprintf("%s, %s, via %s", s.kind, s.image, s.via)
	case s.second != nil:
		return fmt.Sprintf("%s of %q and %q, image %d", s.file(), s.picture.name, s.second.name, s.chosen+1)
	}
	text := fmt.Sprintf("%s of %q", s.file(), s.picture.name)
	if s.called != "" {
		text += ", called " + s.called
	}
	return text
}

func (s source) isDaemon() bool { return s.kind == fromClassic || s.kind == fromContainerd }

func (s source) file() string {
	if s.kind == fromStdin {
		return fmt.Sprintf("%s, %s", s.kind, s.form)
	}
	return string(s.kind)
}

// format is the form of the file.
func (s source) format() kind {
	if s.kind == fromStdin {
		return s.form
	}
	return s.kind
}

// pictures are those in the file.
func (s source) pictures() []*picture {
	if s.second == nil {
		return []*picture{s.picture}
	}
	return []*picture{s.picture, s.second}
}

// isRaw: the file has raw layers, for which a manifest is made.
func (s source) isRaw() bool {
	return s.format() == fromDockerArchive || s.format() == fromClassicExport
}

// expected is what arrives of it.
func (s source) expected(w *world, a asked) expectation {
	switch {
	case s.kind == fromRegistry:
		return s.expectedOfRegistry(w, a)
	case s.isDaemon():
		return s.expectedOfDaemon(w, a)
	}
	p := s.pictures()[s.chosen]
	if s.isRaw() {
		return asRaw(p, a)
	}
	return asKept(p, p.members, a)
}

// daemon is the one that has it.
func (s source) daemon(w *world) *daemon {
	if s.kind == fromClassic {
		return w.classic
	}
	return w.store
}

func (s source) expectedOfDaemon(w *world, a asked) expectation {
	d := s.daemon(w)
	found, names := d.find(s.argument(w))
	if found.picture == nil {
		return expectation{}
	}
	var e expectation
	switch {
	case s.kind == fromClassic:
		e = asRaw(found.picture, a)
	case s.via == "daemon" && (a.force || a.noAttestations): // it pushes an image as it is
		return expectation{}
	default:
		a.force = a.force && !found.hollow // what is not there stays as it is
		e = asKept(found.picture, found.present(), a)
		e.mayFail = found.hollow && !w.has(found, a.platform)
	}
	// What the daemon cannot push by itself is refused, if it has to be read: it
	// compresses in one way only, the classic store knows no platforms, and an
	// image without a name would be gone.
	if s.via == "daemon" {
		e.mayFail = e.mayFail || found.hollow || len(names) == 0 || s.kind == fromClassic && (a.platform != "" || a.compression != "")
	}
	return e
}

// has tells whether the layers of an image are where it was pulled from.
func (w *world) has(image held, platform string) bool {
	for _, h := range w.hosts {
		repository, found := strings.CutPrefix(image.origin, h.address()+"/")
		if !found {
			continue
		}
		for _, m := range image.present() {
			for _, l := range m.layers {
				if (platform == "" || platform == m.platform) && h.holds(repository, l.stored) != nil {
					return false
				}
			}
		}
		return true
	}
	return false
}

// argument is SOURCE on the command line.
func (s source) argument(w *world) string {
	switch {
	case s.kind == fromRegistry:
		return s.remotes[0].argument(w)
	case s.kind == fromStdin:
		return "-"
	case s.isDaemon() && s.byID:
		return s.daemon(w).has.id(s.picture)
	case s.isDaemon():
		return s.image
	}
	if s.kind == fromDirectory {
		return "dir:" + w.files.path(s)
	}
	return w.files.path(s)
}

// stdin is what comes on standard input.
func (s source) stdin() *bytes.Reader {
	if s.kind != fromStdin {
		return bytes.NewReader(nil)
	}
	return bytes.NewReader(s.archive())
}

// imageNames are those of the images in a file: none where there is only one.
func (s source) imageNames() []string {
	switch {
	case s.second != nil:
		return names
	case s.called != "":
		return []string{s.called}
	}
	return nil
}

// archive is the file as a tar.
func (s source) archive() []byte {
	return remember("archive "+s.key(), func() blob { return blob{data: s.pack()} }).data
}

func (s source) key() string {
	key := []string{string(s.format()), s.called}
	for _, p := range s.pictures() {
		key = append(key, p.name)
	}
	return strings.Join(key, " ")
}

func (s source) pack() []byte {
	switch s.format() {
	case fromDockerArchive:
		return dockerArchive(s.pictures(), s.imageNames())
	case fromClassicExport:
		return classicExport(s.picture, cmp.Or(s.called, "app:1"))
	case fromContainerdExport:
		return containerdExport(s.picture.root, s.picture.members[0], s.picture.root.children, cmp.Or(s.called, "app:1"), everything)
	default:
		return pack(layoutFiles(s.pictures(), s.imageNames())...)
	}
}

// path is the file, which is written when it is first asked for.
func (f *files) path(s source) string {
	path := filepath.Join(f.dir, newBlob([]byte(s.key())).hex()[:16])
	if s.kind != fromLayout && s.kind != fromDirectory {
		path += ".tar"
	}
	once, _ := f.written.LoadOrStore(path, sync.OnceFunc(func() {
		switch s.kind {
		case fromLayout:
			unpack(path, layoutFiles(s.pictures(), s.imageNames()))
		case fromDirectory:
			unpack(path, flatFiles(s.picture))
		default:
			must(os.WriteFile(path, s.archive(), 0o600))
		}
	}))
	once.(func())()
	return path
}
