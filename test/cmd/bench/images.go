//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// images are what is pushed, and the daemons that hold them.
type images struct {
	dir, ours string // ours is the plugin
	engines   map[servers.Store]*servers.Engine
	// changes counts the builds of [images.change]; each has other content.
	changes int
	made    map[string]subject
	// source is the registry that images are copied from, once one is.
	source *servers.Server
}

// The images, by the steps that copy parts of the Go toolchain's tree.
const (
	toolchain = "toolchain"
	small     = "small"
	large     = "large"
	project   = "project" // several images, of a compose file
)

func makeImages(ctx context.Context, dir, ours string) (*images, error) {
	i := &images{dir: dir, ours: ours, engines: map[servers.Store]*servers.Engine{}, made: map[string]subject{}}
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		e, err := servers.StartEngine(ctx, store, servers.EngineOptions{})
		if err != nil {
			return nil, errors.Join(err, i.stop())
		}
		i.engines[store] = e
	}
	return i, nil
}

func (i *images) stop() error {
	var errs []error
	if i.source != nil {
		errs = append(errs, i.source.Stop())
	}
	for _, e := range i.engines {
		errs = append(errs, e.Stop())
	}
	return errors.Join(errs...)
}

// subject is the image of a scenario.
func (i *images) subject(ctx context.Context, s scenario) (subject, error) {
	switch {
	case s.copied:
		return i.stored(ctx, s.image)
	case s.image == project:
		return i.project(ctx, s.store)
	case s.image == crowd:
		return i.crowd()
	}
	return i.get(ctx, s.image, s.store)
}

// get makes an image at its first use: in the daemon's store, and from there
// as an archive and as a layout.
func (i *images) get(ctx context.Context, name string, store servers.Store) (subject, error) {
	key := name + string(store)
	if s, ok := i.made[key]; ok {
		return s, nil
	}
	e := i.engines[store]
	s := subject{tag: name + ":latest", host: e.Host()}
	if err := i.context(ctx, name, ""); err != nil {
		return s, err
	}
	if err := e.Build(ctx, s.tag, i.folder(name)); err != nil {
		return s, err
	}
	if store == servers.Classic {
		if err := i.files(ctx, &s, name); err != nil {
			return s, err
		}
	}
	i.made[key] = s
	return s, nil
}

// files writes an image of the classic store as an archive and as a layout.
func (i *images) files(ctx context.Context, s *subject, name string) error {
	s.archive, s.layout = filepath.Join(i.dir, name+".tar"), filepath.Join(i.dir, name+"-layout")
	if err := os.RemoveAll(s.layout); err != nil {
		return err
	}
	if _, err := i.engines[servers.Classic].Run(ctx, "save", "-o", s.archive, s.tag); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "skopeo", "copy", "--quiet", "--insecure-policy", "docker-archive:"+s.archive, "oci:"+s.layout+":latest").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make layout: %w: %s", err, out)
	}
	return nil
}

// change builds an image again, with one small layer more that was never seen. files
// says that it is needed as files, too.
func (i *images) change(ctx context.Context, name string, store servers.Store, files bool) (subject, error) {
	i.changes++
	content := fmt.Sprintf("%d %d", i.changes, rand.Uint64())
	if err := i.context(ctx, name, content); err != nil {
		return subject{}, err
	}
	e := i.engines[store]
	s := subject{tag: name + ":changed", host: e.Host()}
	if err := e.Build(ctx, s.tag, i.folder(name)); err != nil || !files {
		return s, err
	}
	return s, i.files(ctx, &s, name+"-changed")
}

func (i *images) folder(name string) string { return filepath.Join(i.dir, "context-"+name) }

// context writes what an image is built from; a change adds a layer with it.
func (i *images) context(ctx context.Context, name, change string) error {
	dir := i.folder(name)
	steps, err := os.ReadFile(filepath.Join(dir, "steps"))
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if steps, err = i.fill(ctx, name, dir); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "steps"), steps, 0o600); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if change != "" {
		if err := os.WriteFile(filepath.Join(dir, "change"), []byte(change), 0o600); err != nil {
			return err
		}
		steps = append(steps, "COPY change /change\n"...)
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), steps, 0o600)
}

// fill puts files into a build context and returns the Dockerfile.
func (i *images) fill(ctx context.Context, name, dir string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find the Go toolchain: %w", err)
	}
	root := strings.TrimSpace(string(out))
	parts := map[string][]string{ // target: sources
		"src": {"src"}, "pkg": {"pkg"}, "bin": {"bin"}, "test": {"test"}, "lib": {"lib"},
	}
	switch name {
	case large:
		// About 1.5 GB, one layer.
		parts = map[string][]string{}
		for n := range 6 {
			parts[fmt.Sprintf("all/%d", n)] = []string{"src", "pkg", "bin"}
		}
	case small:
		parts = map[string][]string{}
		entries, err := os.ReadDir(filepath.Join(root, "src"))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if entry.IsDir() && len(parts) < 60 {
				parts[entry.Name()] = []string{filepath.Join("src", entry.Name())}
			}
		}
	}
	var steps strings.Builder
	steps.WriteString("FROM scratch\n")
	copied := map[string]bool{}
	for _, target := range slices.Sorted(maps.Keys(parts)) { // the same image every time
		sources := parts[target]
		if err := os.MkdirAll(filepath.Join(dir, target), 0o755); err != nil {
			return nil, err
		}
		for _, source := range sources {
			cmd := exec.CommandContext(ctx, "cp", "-r", filepath.Join(root, source), filepath.Join(dir, target))
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("copy %s: %w: %s", source, err, out)
			}
		}
		if top, _, _ := strings.Cut(target, "/"); !copied[top] {
			copied[top] = true
			fmt.Fprintf(&steps, "COPY %s /%s\n", top, top)
		}
	}
	return []byte(steps.String()), nil
}
