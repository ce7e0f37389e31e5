package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
)

// configured reads docker's configuration, and the configuration file that flags
// or the environment name, or else the one in docker's directory, for a command
// about the registries named.
func (a *app) configured(flags *pflag.FlagSet, named ...string) (*dockerconfig.Config, options.Layers, error) {
	l := options.Layers{Flags: flags, Getenv: a.Getenv, Named: named}
	config, err := a.dockerConfig()
	if err != nil {
		return nil, l, err
	}
	path, err := l.ConfigFile()
	if err != nil {
		return nil, l, err
	}
	l.File, err = a.readConfigFile(path, config.Dir)
	return config, l, err
}

// readConfigFile reads the file called path or, if that is empty, the one in
// docker's configuration directory dir. Neither that nor the file in it need
// exist.
func (a *app) readConfigFile(path, dir string) (*options.File, error) {
	named := path != ""
	switch {
	case named:
	case dir == "":
		return nil, nil //nolint:nilnil // nil is the empty file
	default:
		path = filepath.Join(dir, options.FileName)
	}
	content, err := ownfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil, nil //nolint:nilnil // nil is the empty file
	}
	if err != nil {
		return nil, fault.Usage(fmt.Errorf("read configuration file: %w", err))
	}
	a.hidden.hideFile(content)
	file, err := options.ParseFile(path, content)
	if err != nil {
		return nil, fault.Usage(fault.WithHint(fmt.Errorf("read configuration file: %w", err), "docs/configuration.md has the fields of the file"))
	}
	for _, item := range file.List.Items {
		a.hidden.hideSpec(item.Spec, a.Getenv)
	}
	return file, nil
}
