package plugin

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
)

// layers are the places where options are set, the most important first: the
// command line, the environment, the configuration file. What none of them
// sets keeps its default.
type layers struct {
	flags  *pflag.FlagSet
	getenv func(string) string
	file   *configFile
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
		values, from := l.look(f.Name, e)
		for _, value := range values {
			if bad := f.Value.Set(value); bad != nil && err == nil {
				err = usageError{fmt.Errorf("%s: %q: %w", from, value, bad)}
			}
		}
		found = append(found, setting{Option: f.Name, Value: display(f.Value), From: from})
	})
	return found, err
}

// look finds the values of an option and where they are from.
func (l layers) look(option string, e entry) (values []string, from string) {
	if given := l.flags.Lookup(option); given != nil && given.Changed {
		if list, ok := given.Value.(pflag.SliceValue); ok {
			return list.GetSlice(), "--" + option
		}
		return []string{given.Value.String()}, "--" + option
	}
	if variable := environmentVariable(option); variable != "" && l.getenv(variable) != "" {
		return []string{l.getenv(variable)}, variable
	}
	if values, where := e.values(option); len(values) > 0 {
		return values, where
	}
	return nil, fromDefault
}

// display is a value as `docker gitea config` shows it.
func display(v pflag.Value) string {
	if list, ok := v.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ", ")
	}
	return v.String()
}

// configured reads docker's configuration, and the configuration file that flags
// or the environment name, or else the one in docker's directory.
func (a *app) configured(flags *pflag.FlagSet) (*dockerconfig.Config, layers, error) {
	l := layers{flags: flags, getenv: a.Getenv}
	config, err := a.dockerConfig()
	if err != nil {
		return nil, l, err
	}
	var path string
	if values, _ := l.look("config-file", entry{}); len(values) > 0 {
		path = values[0]
	}
	l.file, err = readConfigFile(path, config.Dir)
	return config, l, err
}
