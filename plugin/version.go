package plugin

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

func (a *app) newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "version",
		Short:                 "Show the version",
		Example:               "  docker gitea version",
		Args:                  noArguments,
		DisableFlagsInUseLine: true,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "%s %s %s/%s %s\n", programName, a.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fault.Usage(fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}
