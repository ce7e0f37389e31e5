package credhelper

import (
	"slices"

	"github.com/spf13/cobra"
)

// Command returns the commands for manuals. They are not to be run; [Main]
// does that.
func Command() *cobra.Command { return new(helper).rootCommand() }

// Variables are those of the environment that the program reads.
func Variables() []string {
	var all []string
	for _, in := range inputs {
		all = append(all, in.variables...)
	}
	slices.Sort(all)
	return all
}

// Files are the files in the program's directory that hold no secret, each with
// the zero value of what is in it.
func Files() map[string]any {
	return map[string]any{"config.json": config{}, "hosts.json": indexFile{}}
}
