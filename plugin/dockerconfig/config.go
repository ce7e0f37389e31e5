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
	"path/filepath"
	"sync"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/internal/home"
)

// Config is Docker's configuration directory and the config.json in it.
type Config struct {
	// Dir is the directory: ~/.docker, DOCKER_CONFIG, or what --config says. It
	// is empty for a user without a home directory, who has no configuration.
	Dir string

	// Waiting, if it is set, is told which program is asked, and returns what is
	// called once it has answered.
	Waiting func(program string) (done func())

	file   parsed
	getenv func(string) string
	hidden *gate.Hidden

	// mu guards the fields below.
	mu         sync.Mutex
	passedOver []string
	told       map[string]bool // what was ever in passedOver
}

// Load reads the configuration in dir; empty means DOCKER_CONFIG, or else
// ~/.docker, wherever docker would look for the home directory. A file that
// does not exist is an empty configuration; of one that cannot be read or parsed, or
// not as a whole, docker warns and goes on, and so does this: see
// [Config.TakePassedOver].
//
// What has the shape of a secret in that file, or in another that is read later,
// goes to hidden, which may be nil: such a file has names of programs and of
// hosts, and one that is a secret stands in a wrong place.
func Load(dir string, getenv func(string) string, hidden *gate.Hidden) (*Config, error) {
	if dir == "" {
		dir = getenv(config.EnvOverrideConfigDir)
	}
	if dir == "" {
		base, err := home.Dir()
		if errors.Is(err, home.ErrUnknown) {
			return &Config{file: parsed{ConfigFile: configfile.New("")}, getenv: getenv, hidden: hidden, told: map[string]bool{}}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("find docker config: %w", err)
		}
		dir = filepath.Join(base, ".docker")
	}
	c := &Config{Dir: dir, getenv: getenv, hidden: hidden, told: map[string]bool{}}
	c.file = c.readFile(c.path())
	c.passOver(c.file.passedOver()...)
	return c, nil
}

// TakePassedOver are what of the files that were read so far is not used, and
// why; each is given once.
func (c *Config) TakePassedOver() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.passedOver
	c.passedOver = nil
	return lines
}

func (c *Config) passOver(lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range lines {
		if !c.told[line] {
			c.passedOver = append(c.passedOver, line)
			c.told[line] = true
		}
	}
}

// Hide hides what has the shape of a secret in JSON that the configuration leads
// to.
func (c *Config) Hide(content []byte) { c.hidden.AddJSON(content) }

// Broken is why config.json cannot be read, or nil.
func (c *Config) Broken() error { return c.file.broken }

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
