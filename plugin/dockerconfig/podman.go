package dockerconfig

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-gitea/docker-gitea/internal/home"
	"github.com/docker-gitea/docker-gitea/registry"
)

// fromPodman looks into the files of podman, skopeo and buildah
// (containers-auth.json(5)).
func (c *Config) fromPodman(ctx context.Context, p Place, stderr io.Writer) (registry.AuthConfig, error) {
	for _, path := range c.podmanFiles() {
		file, err := readFile(path)
		if err != nil {
			return registry.AuthConfig{}, fmt.Errorf("read podman credentials: %w", err)
		}
		found, err := c.fromHelper(ctx, file, p, stderr)
		if err != nil || !found.IsZero() {
			return found, err
		}
		if found = fromFile(file, path, p); !found.IsZero() {
			return found, nil
		}
	}
	return registry.AuthConfig{}, nil
}

// podmanFiles are where podman looks. A relative directory is none: it would be
// one of the working directory.
func (c *Config) podmanFiles() []string {
	if path := c.getenv("REGISTRY_AUTH_FILE"); path != "" {
		return []string{path}
	}
	var files []string
	add := func(dir string) {
		if filepath.IsAbs(dir) {
			files = append(files, filepath.Join(dir, "containers", "auth.json"))
		}
	}
	add(c.getenv("XDG_RUNTIME_DIR"))
	if config := c.getenv("XDG_CONFIG_HOME"); config != "" {
		add(config)
	} else if base, err := home.Dir(); err == nil {
		add(filepath.Join(base, ".config"))
	}
	return files
}

// Scope is the same for two places that [Config.Credential] finds the same
// login for: it has the entries that are for the place. A file that cannot be
// read is passed by here, since Credential fails with it.
func (c *Config) Scope(p Place) string {
	files := []*configfile.ConfigFile{c.file}
	if file, err := parseFile(c.getenv(configfile.DockerEnvConfigKey)); err == nil {
		files = append(files, file)
	}
	for _, path := range c.podmanFiles() {
		if file, err := readFile(path); err == nil {
			files = append(files, file)
		}
	}
	scope := []string{strings.Join(p.hosts(), " ")}
	for _, file := range files {
		key := p.key(file.AuthConfigs)
		scope = append(scope, key)
	}
	return strings.Join(scope, "\n")
}
