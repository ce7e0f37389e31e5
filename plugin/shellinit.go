package plugin

import (
	"embed"
	"fmt"

	"github.com/spf13/cobra"
)

// Docker accepts no plugin whose name has a hyphen, so that only the shell
// can make `docker gitea-push` work.
//
//go:embed shellinit
var shellFunctions embed.FS

func (a *app) newShellInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "shell-init bash|zsh|fish|powershell",
		Short: "Print a shell function that makes \"docker gitea-push\" work",
		Long: `Print a shell function that makes "docker gitea-push" work.

Docker accepts no plugin with a hyphen in its name. The function turns
"docker gitea-push" into "docker gitea push" and hands everything else to
docker untouched.`,
		Example: `  # For ~/.bashrc, ~/.zshrc
  eval "$(docker gitea shell-init bash)"

  # For ~/.config/fish/config.fish
  docker gitea shell-init fish | source`,
		Args:                  oneShell,
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(command *cobra.Command, args []string) error {
			text, err := shellFunctions.ReadFile("shellinit/" + args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s", text)
			return err
		},
	}
}
