// Package dockerconfig reads what the docker command keeps on this machine:
// its config.json and the credentials that it leads to. It writes nothing.
//
// config.go finds and reads the file; credential.go looks a credential up in
// it, in Docker's credential helpers and in podman's files, which podman.go
// finds; place.go tells which entry of such a file is for an image.
package dockerconfig

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-gitea/docker-gitea/internal/home"
)

// Config is Docker's configuration directory and the config.json in it.
type Config struct {
	// Dir is the directory: ~/.docker, DOCKER_CONFIG, or what --config says. It
	// is empty for a user without a home directory, who has no configuration.
	Dir string

	file   *configfile.ConfigFile
	getenv func(string) string
}

// Load reads the configuration in dir; empty means DOCKER_CONFIG, or else
// ~/.docker, wherever docker would look for the home directory. A file that
// does not exist is an empty configuration; one that cannot be read or parsed
// is an error.
func Load(dir string, getenv func(string) string) (*Config, error) {
	if dir == "" {
		dir = getenv(config.EnvOverrideConfigDir)
	}
	if dir == "" {
		base, err := home.Dir()
		if errors.Is(err, home.ErrUnknown) {
			return &Config{file: configfile.New(""), getenv: getenv}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("find docker config: %w", err)
		}
		dir = filepath.Join(base, ".docker")
	}
	file, err := config.Load(dir)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// Further up, where this came from, it would be that of a connection.
		return nil, fmt.Errorf("read docker config: the file %s ends too early: it was not written to its end", filepath.Join(dir, "config.json"))
	}
	if err != nil {
		return nil, fmt.Errorf("read docker config: %w", err)
	}
	return &Config{Dir: dir, file: file, getenv: getenv}, nil
}

// CurrentContext is the name of the context that `docker context use` chose,
// or empty.
func (c *Config) CurrentContext() string { return c.file.CurrentContext }

// ContextDir is where the contexts are stored; empty where there is no Dir.
func (c *Config) ContextDir() string {
	if c.Dir == "" {
		return ""
	}
	return filepath.Join(c.Dir, "contexts")
}

// readFile reads another file of the same format. A file that does not exist
// is empty.
func readFile(path string) (*configfile.ConfigFile, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return configfile.New(path), nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	parsed, err := config.LoadFromReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parsed, nil
}

// parseFile parses the content of such a file.
func parseFile(content string) (*configfile.ConfigFile, error) {
	return config.LoadFromReader(strings.NewReader(content))
}
