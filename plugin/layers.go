package plugin

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// layers are the places where options are set, the most important first: the
// command line, the environment, the configuration file. What none of them
// sets keeps its default.
type layers struct {
	flags  *pflag.FlagSet
	getenv func(string) string
	file   *configFile
	// named are the registries that the command is about.
	named []string
}

// options is a set of options, such as [settings].
type options interface {
	// register declares the options with their defaults.
	register(*pflag.FlagSet)
	// fromFile takes over what only the configuration file can say.
	fromFile(entry)
}

// setting is the value of an option, and where it comes from.
type setting struct {
	Option string `json:"option"`
	Value  string `json:"value"`
	// From is the option, the variable, a line of the file, or "default".
	From string `json:"from"`
}

// fromDefault is the origin of a value that is set nowhere.
const fromDefault = "default"

// resolve sets each of the options from the first layer that has it. host is
// the registry whose part of the file counts; empty is none in particular.
func (l layers) resolve(o options, host string) ([]setting, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.register(flags)
	e := l.file.entry(host)
	o.fromFile(e)
	var found []setting
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		values, from, bad := l.look(f.Name, host, e)
		if bad != nil && err == nil {
			err = bad
		}
		for _, value := range values {
			if bad := f.Value.Set(value); bad != nil && err == nil {
				err = fault.Usage(fmt.Errorf("%s: %q: %w", from, value, bad))
			}
		}
		found = append(found, setting{Option: f.Name, Value: display(f.Value), From: from})
	})
	return found, err
}

// look finds the values of an option for host and where they are from.
func (l layers) look(option, host string, e entry) (values []string, from string, err error) {
	if given := l.flags.Lookup(option); given != nil && given.Changed {
		if list, ok := given.Value.(pflag.SliceValue); ok {
			return list.GetSlice(), "--" + option, nil
		}
		return []string{given.Value.String()}, "--" + option, nil
	}
	variable, value, err := l.variable(option, host)
	if err != nil {
		return nil, variable, err
	}
	if value != "" {
		return []string{value}, variable, nil
	}
	if values, where := e.values(option); len(values) > 0 {
		return values, where, nil
	}
	return nil, fromDefault, nil
}

// display is a value as `docker gitea config` shows it.
func display(v pflag.Value) string {
	if list, ok := v.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ", ")
	}
	return v.String()
}

// configured reads docker's configuration, and the configuration file that flags
// or the environment name, or else the one in docker's directory, for a command
// about the registries named.
func (a *app) configured(flags *pflag.FlagSet, named ...string) (*dockerconfig.Config, layers, error) {
	l := layers{flags: flags, getenv: a.Getenv, named: named}
	config, err := a.dockerConfig()
	if err != nil {
		return nil, l, err
	}
	var path string
	values, _, err := l.look("config-file", "", entry{})
	if err != nil {
		return nil, l, err
	}
	if len(values) > 0 {
		path = values[0]
	}
	l.file, err = a.readConfigFile(path, config.Dir)
	return config, l, err
}
