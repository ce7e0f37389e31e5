package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// tags are those that are pushed. Gitea folds the last one.
var tags = []string{"1", "dev", "RC1"}

// world is where a history takes place: two registries, a daemon of each store,
// and two users with a cache each.
type world struct {
	dir     string
	setting setting
	hosts   [2]*host
	classic *daemon
	store   *daemon // containerd's
	// saved is a copy of each user's cache, from when it was taken.
	saved [2]map[string][]byte
	files *files
	// calls are those so far, each with what it was asked to push.
	calls [][]*push
}

// memory is a directory in memory, where the caches' many small files cost less;
// empty, the usual one, where there is none.
var memory = func() string {
	const linux = "/dev/shm"
	dir, err := os.MkdirTemp(linux, "model-")
	if err != nil || os.Remove(dir) != nil {
		return ""
	}
	return linux
}()

// setting is what a history begins with.
type setting struct {
	kinds [2]registrytest.Config
	// modern: the classic daemon is 25.0 or later.
	modern bool
	// part: of an index of three the containerd daemon has two.
	part bool
	// stock is what a repository of each registry has from the beginning.
	stock [2]*picture
}

func (s setting) String() string {
	var kinds []string
	for _, k := range s.kinds {
		kinds = append(kinds, fmt.Sprintf("%d (OCI types alone: %t)", k.Flavor, k.OCIOnly))
	}
	return fmt.Sprintf("registries %s with %q and %q, modern %t, part %t", strings.Join(kinds, " and "), s.stock[0].name, s.stock[1].name, s.modern, s.part)
}

// cast are the registries and the real engines of a world. Without an engine
// its daemon is scripted.
type cast struct {
	registries          [2]upstream
	classic, containerd engine
}

// scriptedCast is what most histories take place with.
func scriptedCast(s setting) cast {
	return cast{registries: [2]upstream{scripted(s.kinds[0]), scripted(s.kinds[1])}}
}

func newWorld(s setting, c cast, f *files) *world {
	dir, err := os.MkdirTemp(memory, "model-")
	must(err)
	w := &world{dir: dir, setting: s, files: f}
	for i, u := range c.registries {
		w.hosts[i] = newHost(u)
	}
	w.classic = newDaemon(filepath.Join(dir, "classic.sock"), false, s.modern, c.classic)
	w.store = newDaemon(filepath.Join(dir, "containerd.sock"), true, true, c.containerd)
	must(
		os.WriteFile(filepath.Join(dir, "config.json"), w.dockerConfig(), 0o600),
		os.WriteFile(filepath.Join(dir, "gitea.yaml"), w.configuration(), 0o600),
	)
	return w
}

// dockerConfig is docker's configuration, with the logins.
func (w *world) dockerConfig() []byte {
	auths := map[string]any{}
	for _, h := range w.hosts {
		auths[h.address()] = map[string]string{"username": h.username, "password": h.password}
	}
	return encode(map[string]any{"auths": auths})
}

// configuration is the plugin's: a registry that images came from is asked by it.
func (w *world) configuration() []byte {
	var items []any
	for _, h := range w.hosts {
		items = append(items, map[string]any{"spec": map[string]string{"url": "http://" + h.address()}})
	}
	return encode(map[string]any{"apiVersion": "docker-gitea.github.io/v1alpha1", "kind": "RegistryList", "items": items})
}

// close ends the world, and says what a history left behind.
func (w *world) close() error {
	for _, h := range w.hosts {
		h.close()
	}
	w.classic.close()
	w.store.close()
	return os.RemoveAll(w.dir)
}

// cache is the directory of a user's cache.
func (w *world) cache(user int) string { return filepath.Join(w.dir, fmt.Sprintf("cache%d", user)) }

// entries are the files of a user's cache, as paths within it, sorted.
func (w *world) entries(user int) []string {
	var found []string
	err := filepath.WalkDir(w.cache(user), func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			path, err = filepath.Rel(w.cache(user), path)
			found = append(found, path)
		}
		return err
	})
	if !errors.Is(err, os.ErrNotExist) {
		must(err)
	}
	return found
}

// read is what a user's cache holds.
func (w *world) read(user int) map[string][]byte {
	content := map[string][]byte{}
	for _, path := range w.entries(user) {
		data, err := os.ReadFile(filepath.Join(w.cache(user), path))
		must(err)
		content[path] = data
	}
	return content
}

// write makes a user's cache hold that and nothing else.
func (w *world) write(user int, content map[string][]byte) {
	must(os.RemoveAll(w.cache(user)))
	var all []file
	for path, data := range content {
		all = append(all, file{name: path, data: data})
	}
	unpack(w.cache(user), all)
}

// snapshots are the digests of all tags, by their [target].
func (w *world) snapshots() map[string]string {
	all := map[string]string{}
	for i, h := range w.hosts {
		for _, repository := range h.repositories {
			for tag, digest := range h.tags(repository) {
				all[target(i, repository, tag)] = digest
			}
		}
	}
	return all
}

// target is a tag as it is called in a message.
func target(host int, repository, tag string) string {
	return fmt.Sprintf("host %d, %s:%s", host, repository, tag)
}

// change is what a tag was and is.
type change struct{ was, is string }

func (c change) String() string { return fmt.Sprintf("%q, and was %q", c.is, c.was) }

// differences are the tags in which two snapshots differ.
func differences(before, after map[string]string) map[string]change {
	found := map[string]change{}
	for _, snapshot := range []map[string]string{before, after} {
		for name := range snapshot {
			if before[name] != after[name] {
				found[name] = change{before[name], after[name]}
			}
		}
	}
	return found
}

// invariants are what holds between any two events.
func (w *world) invariants() error {
	for _, d := range []*daemon{w.classic, w.store} {
		if left := d.leftovers(); len(left) > 0 {
			return fmt.Errorf("a push left names in a daemon: %s", strings.Join(left, ", "))
		}
	}
	return nil
}

// files are the pictures as files, in a directory that no history changes.
type files struct {
	dir     string
	written sync.Map // path to func()
}

func newFiles(dir string) *files { return &files{dir: dir} }
