package plugin

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is how many columns help takes, as in docker's own help where that
// does not know the terminal's.
const helpWidth = 80

// showHelp prints what a command is for and how it is used, in the form of
// docker's own help. It is no template: cobra's go through text/template, with
// which the linker keeps every method of every type in the program.
func showHelp(command *cobra.Command, _ []string) {
	about := command.Long
	if about == "" {
		about = command.Short
	}
	_, _ = fmt.Fprintf(command.OutOrStdout(), "%s\n\n%s", strings.TrimSpace(about), command.UsageString())
}

// showUsage prints how a command is used.
func showUsage(command *cobra.Command) error {
	var out strings.Builder
	fmt.Fprintf(&out, "Usage:  %s\n", command.UseLine())
	if command.HasAvailableSubCommands() {
		for _, group := range command.Groups() {
			listCommands(&out, command, group.Title, group.ID)
		}
		listCommands(&out, command, "Commands:", "")
		fmt.Fprintf(&out, "\nRun '%s COMMAND --help' for more information on a command.\n", command.CommandPath())
	}
	listFlags(&out, "Options:", command.LocalNonPersistentFlags())
	listFlags(&out, "Docker options:", command.PersistentFlags())
	if command.HasExample() {
		fmt.Fprintf(&out, "\nExamples:\n%s\n", command.Example)
	}
	_, err := io.WriteString(command.OutOrStderr(), out.String())
	return err
}

// listCommands lists the commands of a group under a title, if there are any.
func listCommands(out *strings.Builder, command *cobra.Command, title, group string) {
	width := 0
	for _, each := range command.Commands() {
		if each.IsAvailableCommand() {
			width = max(width, len(each.Name()))
		}
	}
	for _, each := range command.Commands() {
		if !each.IsAvailableCommand() || each.GroupID != group {
			continue
		}
		if title != "" {
			fmt.Fprintf(out, "\n%s\n", title)
			title = ""
		}
		fmt.Fprintf(out, "  %-*s %s\n", width, each.Name(), each.Short)
	}
}

func listFlags(out *strings.Builder, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(out, "\n%s\n%s\n", title, strings.TrimRight(flags.FlagUsagesWrapped(helpWidth), " \n"))
	}
}
