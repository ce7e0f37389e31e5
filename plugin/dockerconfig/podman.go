package dockerconfig

import (
	"cmp"
	"context"
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
	var unread error
	for _, path := range c.podmanFiles() {
		file := c.readFile(path)
		found, err := c.fromHelper(ctx, file, p, stderr)
		if err != nil || !found.IsZero() {
			return found, err
		}
		found, err = fromFile(file, p)
		switch {
		case err != nil:
			unread = cmp.Or(unread, err)
			c.passOver(file.passedOver()...)
		case !found.IsZero():
			return found, nil
		}
	}
	return registry.AuthConfig{}, unread
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
// login for: it has the entries that are for the place.
func (c *Config) Scope(p Place) string {
	files := []parsed{c.file, parseFile("", []byte(c.getenv(configfile.DockerEnvConfigKey)))}
	for _, path := range c.podmanFiles() {
		files = append(files, c.readFile(path))
	}
	scope := []string{strings.Join(p.hosts(), " ")}
	for _, file := range files {
		key := p.key(file.AuthConfigs)
		scope = append(scope, key)
	}
	return strings.Join(scope, "\n")
}
