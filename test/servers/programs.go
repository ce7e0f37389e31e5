package servers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const installCommand = "go run ./test/cmd/servers build"

// CacheDir returns the folder of built programs: $DOCKER_GITEA_TEST_CACHE,
// or docker-gitea-test in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("DOCKER_GITEA_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "docker-gitea-test"), nil
}

// Program returns the path of a program: one of tools.go, as its module under
// test/tools pins it; or debian-dockerd, debian-docker, docker-registry, nginx,
// skopeo or any other from a Debian package. One that is not there is a
// [*MissingError].
func Program(name string) (string, error) {
	i := slices.IndexFunc(tools, func(t tool) bool { return t.name == name })
	if i < 0 {
		return systemProgram(name)
	}
	path, err := tools[i].path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", &MissingError{Program: name, Install: installCommand + " " + name}
	}
	return path, nil
}

// Wide is the name for all programs and Debian packages that only `make
// test-wide` needs, and which are not built or installed unasked.
const Wide = "wide"

// Build builds the named programs unless they are in the cache already, and
// tells w about each. No name means all but the wide ones, [Wide] means those.
func Build(ctx context.Context, w io.Writer, names ...string) error {
	for _, t := range tools {
		breadth := slices.Contains(wide, t.name)
		named := slices.Contains(names, t.name) || breadth && slices.Contains(names, Wide)
		if !named && (len(names) > 0 || breadth) {
			continue
		}
		if err := t.build(ctx, w); err != nil {
			return fmt.Errorf("build %s: %w", t.name, err)
		}
	}
	return nil
}

// build makes the program in a folder of its own, which moves into place
// when it is complete: of two builds of the same at once, one wins as a whole.
func (t tool) build(ctx context.Context, w io.Writer) (err error) {
	path, err := t.path()
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		fmt.Fprintf(w, "%-14s %s\n", t.name, path)
		return nil
	}
	final := filepath.Dir(path)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), "building-"+t.name+"-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	source, version, err := t.find(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%-14s building %s@%s\n", t.name, t.main, version)
	version = strings.TrimSuffix(strings.TrimPrefix(version, "v"), "+incompatible")
	args := []string{"build", "-trimpath", "-o", filepath.Join(dir, t.name)}
	modfile, err := t.patch(ctx, source)
	if err != nil {
		return err
	}
	if modfile != "" {
		defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(modfile))) }()
		args = append(args, "-modfile="+modfile)
	}
	for _, flag := range t.flags {
		args = append(args, strings.ReplaceAll(flag, "VERSION", version))
	}
	if err := t.run(ctx, w, append(args, t.main)...); err != nil {
		return err
	}
	for _, name := range t.data {
		if err := copyTree(filepath.Join(dir, name), filepath.Join(source, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(dir, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// sourcePatch is a file in a tool's module: changes to the source of the program.
const sourcePatch = "source.patch"

// patch makes a changed copy of the source, if the tool's module has changes
// to it, and in the same new folder a go.mod that takes the copy; it returns
// the path of that, or nothing. (The -overlay of the go command cannot change
// what is in the module cache.)
func (t tool) patch(ctx context.Context, source string) (modfile string, err error) {
	root, err := toolsDir()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, t.module)
	changes := filepath.Join(module, sourcePatch)
	if _, err := os.Stat(changes); err != nil {
		return "", nil
	}
	dir, err := os.MkdirTemp("", "patched-"+t.name+"-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	patched, modfile := filepath.Join(dir, "source"), filepath.Join(dir, "go.mod")
	if err := copyTree(patched, source); err != nil {
		return "", err
	}
	apply := exec.CommandContext(ctx, "git", "apply", changes)
	apply.Dir = patched
	if out, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("git apply %s: %w: %s", sourcePatch, err, out)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyTree(filepath.Join(dir, name), filepath.Join(module, name)); err != nil {
			return "", err
		}
	}
	return modfile, t.run(ctx, io.Discard, "mod", "edit", "-replace="+t.source+"="+patched, modfile)
}

// find returns where the source of the program is and its version, having downloaded it.
func (t tool) find(ctx context.Context) (dir, version string, err error) {
	if err := t.run(ctx, io.Discard, "mod", "download", t.source); err != nil {
		return "", "", err
	}
	var out strings.Builder
	if err := t.run(ctx, &out, "list", "-m", "-f", "{{.Dir}}\n{{.Version}}", t.source); err != nil {
		return "", "", err
	}
	dir, version, _ = strings.Cut(strings.TrimSpace(out.String()), "\n")
	return dir, version, nil
}

// run runs the go command in the tool's module.
func (t tool) run(ctx context.Context, w io.Writer, args ...string) error {
	root, err := toolsDir()
	if err != nil {
		return err
	}
	cgo := "0"
	if t.cgo {
		cgo = "1"
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(root, t.module)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOWORK=off", "GOFLAGS=-mod=readonly")
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}

// path returns where the program is or will be. Its folder is named after
// everything that decides what the program becomes, except the Go release.
func (t tool) path() (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	root, err := toolsDir()
	if err != nil {
		return "", err
	}
	key := sha256.New()
	fmt.Fprintln(key, runtime.GOOS, runtime.GOARCH, t)
	for _, name := range []string{"go.mod", "go.sum", sourcePatch} {
		data, err := os.ReadFile(filepath.Join(root, t.module, name))
		if name == sourcePatch && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read tool module: %w", err)
		}
		key.Write(data)
	}
	return filepath.Join(cache, fmt.Sprintf("%s-%.6x", t.name, key.Sum(nil)), t.name), nil
}

// toolsDir finds test/tools from any folder of the project.
func toolsDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find test/tools: %w", err)
	}
	for {
		tools := filepath.Join(dir, "test", "tools")
		if _, err := os.Stat(tools); err == nil {
			return tools, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find test/tools: the working folder is not in the project")
		}
		dir = parent
	}
}

// copyTree copies files with ordinary permissions; those in Go's module cache cannot be removed.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o644)
	})
}
