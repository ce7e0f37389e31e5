// Package switches keeps lists of options narrow: pflag puts "[=true|false]" behind
// each switch, and most people give its name alone.
package switches

import "github.com/spf13/pflag"

// Shorten has the list of these options name each switch alone. It is for options
// that are listed and not read any more: pflag does not take them for switches then.
func Shorten(options *pflag.FlagSet) {
	options.VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" {
			f.Value = bare{f.Value}
		}
	})
}

// bare is a switch of the kind that pflag puts nothing behind.
type bare struct{ pflag.Value }

// Type implements [pflag.Value].
func (bare) Type() string { return "boolfunc" }
