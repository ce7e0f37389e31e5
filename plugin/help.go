package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/switches"
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
	listed, left := screenful(command)
	listFlags(&out, "Options:", listed)
	if left > 0 {
		fmt.Fprintf(&out, "\n%d more options: %s --%s\n", left, command.CommandPath(), helpAll)
	}
	listFlags(&out, "Docker options:", command.PersistentFlags())
	if command.HasExample() {
		fmt.Fprintf(&out, "\nExamples:\n%s\n", command.Example)
	}
	_, err := io.WriteString(command.OutOrStderr(), out.String())
	return err
}

// helpAll is the option that shows the help with every option.
const helpAll = "help-all"

// shownAll marks a command that shows every option.
const shownAll = "docker-gitea.help-all"

// common are the options that most people need, of the commands that have so many
// that they would not fit a screen.
var common = []string{
	"all-images", "all-tags", "ca-file", "compose", "dry-run", "format", "help", helpAll, "insecure", "link", "match", "no-clobber",
	"platform", "quiet", "tag", "to",
}

// addHelpAll gives a command with many options the one that shows them all.
func addHelpAll(command *cobra.Command) {
	command.Flags().BoolFunc(helpAll, "Show every option", func(string) error {
		command.Annotations = map[string]string{shownAll: ""}
		return pflag.ErrHelp
	})
}

// screenful are the options of a command to show, and how many are left out.
func screenful(command *cobra.Command) (listed *pflag.FlagSet, left int) {
	all := command.LocalNonPersistentFlags()
	_, every := command.Annotations[shownAll]
	if every || all.Lookup(helpAll) == nil {
		return all, 0
	}
	listed = pflag.NewFlagSet("", pflag.ContinueOnError)
	all.VisitAll(func(f *pflag.Flag) {
		switch {
		case slices.Contains(common, f.Name):
			listed.AddFlag(f)
		case !f.Hidden:
			left++
		}
	})
	return listed, left
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
		switches.Shorten(flags)
		fmt.Fprintf(out, "\n%s\n%s\n", title, strings.TrimRight(flags.FlagUsagesWrapped(helpWidth), " \n"))
	}
}
