package options

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// Layers are the places where options are set, the most important first: the
// command line, the environment, the configuration file. What none of them
// sets keeps its default.
type Layers struct {
	Flags  *pflag.FlagSet
	Getenv func(string) string
	File   *File
	// Named are the registries that the command is about.
	Named []string
}

// Set is a set of options, such as [Settings].
type Set interface {
	// Register declares the options with their defaults.
	Register(*pflag.FlagSet)
	// fromFile takes over what only the configuration file can say.
	fromFile(Entry)
}

// Setting is the value of an option, and where it comes from.
type Setting struct {
	Option string `json:"option"`
	Value  string `json:"value"`
	// From is the option, the variable, a line of the file, or "default".
	From string `json:"from"`
}

// FromDefault is the origin of a value that is set nowhere.
const FromDefault = "default"

// Resolve sets each of the options from the first layer that has it. host is
// the registry whose part of the file counts; empty is none in particular.
func (l Layers) Resolve(o Set, host string) ([]Setting, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.Register(flags)
	e := l.File.Entry(host)
	o.fromFile(e)
	var found []Setting
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
		found = append(found, Setting{Option: f.Name, Value: display(f.Value), From: from})
	})
	return found, err
}

// ConfigFile is the path of the configuration file that the other places name, or
// empty.
func (l Layers) ConfigFile() (string, error) {
	values, _, err := l.look("config-file", "", Entry{})
	if err != nil || len(values) == 0 {
		return "", err
	}
	return values[0], nil
}

// look finds the values of an option for host and where they are from.
func (l Layers) look(option, host string, e Entry) (values []string, from string, err error) {
	if given := l.Flags.Lookup(option); given != nil && given.Changed {
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
	return nil, FromDefault, nil
}

// display is a value as `docker gitea config` shows it.
func display(v pflag.Value) string {
	if list, ok := v.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ", ")
	}
	return v.String()
}
