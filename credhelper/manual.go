package credhelper

import "github.com/spf13/cobra"

// Command returns the commands for manuals. They are not to be run; [Main]
// does that.
func Command() *cobra.Command { return new(helper).rootCommand() }
