package plugin

import (
	"embed"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
)

// shells are those that the small commands write code for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

// newCompletionCommand completes the program called by its own name. Called
// as `docker gitea`, docker's completion asks the plugin, and needs nothing.
func (a *app) newCompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "completion bash|zsh|fish|powershell",
		Short:                 "Print the shell completion of " + programName,
		Long:                  "Print the shell completion of " + programName + ".\n\nThe completion of docker itself completes \"docker gitea\" without this.",
		Example:               "  source <(docker gitea completion bash)",
		Args:                  oneShell,
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(command *cobra.Command, args []string) error {
			return a.writeCompletion(command.OutOrStdout(), args[0])
		},
	}
}

// writeCompletion writes the completion of a shell.
func (a *app) writeCompletion(w io.Writer, shell string) error {
	root := a.newCommand(formStandalone, nil)
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	}
	return root.GenPowerShellCompletionWithDesc(w)
}

func oneShell(command *cobra.Command, args []string) error {
	if err := cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(command, args); err != nil {
		return fault.Usage(fmt.Errorf("one of bash, zsh, fish and powershell is needed: %w", err))
	}
	return nil
}

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
