package plugin

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// app is one run of the program.
type app struct {
	System
	globals globals
	// hidden is what is never shown. The zero value hides nothing.
	hidden hidden
	// notice shows what the user should know. Nil prints it.
	notice func(string)
	// unheard: nobody is told what is waited for.
	unheard bool
}

// tell shows what the user should know.
func (a *app) tell(notice string) {
	if a.notice != nil {
		a.notice(notice)
		return
	}
	_, _ = fmt.Fprintln(a.Stderr, registry.Printable(notice))
}

// globals are docker's own options, which stand before the plugin's name.
type globals struct {
	config   string
	debug    bool
	logLevel string
	daemon   daemon.Flags
}

func (g *globals) register(flags *pflag.FlagSet) {
	flags.StringVar(&g.config, "config", "", "Location of client config files")
	flags.BoolVarP(&g.debug, "debug", "D", false, "Enable debug mode")
	flags.StringVarP(&g.logLevel, "log-level", "l", "info", `Set the logging level ("debug", "info", "warn", "error", "fatal")`)
	g.daemon.Register(flags)
}

// logger writes what the packages below log, all of it for debugging.
func (a *app) logger() *slog.Logger {
	if !a.globals.debug && !strings.EqualFold(a.globals.logLevel, "debug") {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (a *app) dockerConfig() (*dockerconfig.Config, error) {
	config, err := dockerconfig.Load(a.globals.config, a.Getenv, a.hidden.Hidden)
	if err != nil {
		return nil, err
	}
	config.Waiting = a.waiting
	return config, nil
}

// newCommand builds the commands for a form of the call. Under docker they
// hang below a root called docker, so that help and completion come out as
// docker's.
func (a *app) newCommand(form form, args []string) *cobra.Command {
	var root *cobra.Command
	switch form {
	case formPush:
		root = a.newPushCommand()
		root.Use = strings.Replace(root.Use, "push", pushLinkName, 1)
	case formStandalone:
		root = a.newGiteaCommand(programName)
	default:
		root = &cobra.Command{Use: "docker"}
		root.AddCommand(a.newGiteaCommand(pluginName))
	}
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		if unknown := noSuchCommand(command, command.Flags().Args()); command.HasSubCommands() && unknown != nil {
			return unknown // of which the option would be
		}
		return fault.Usage(err)
	})
	root.SetUsageFunc(showUsage)
	root.SetHelpFunc(showHelp)
	a.globals.register(root.PersistentFlags())
	hideInDocker(root, form)
	completeFlags(root)
	return root
}

// hideInDocker leaves docker's options out of the help where docker's own
// help has them.
func hideInDocker(root *cobra.Command, form form) {
	if form == formDocker {
		root.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
	}
}

func (a *app) newGiteaCommand(name string) *cobra.Command {
	command := &cobra.Command{
		Use:   name + " COMMAND",
		Short: "Push images to Gitea and Forgejo",
		Example: `  docker gitea push app:dev git.example.com/me/app:1
  docker gitea push --help`,
		Args:                       noSuchCommand,
		DisableFlagsInUseLine:      true,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	addGroup(command, "Images:", a.newPushCommand(), a.newCopyCommand(), a.newJoinCommand(), a.newTagCommand(), a.newListCommand(),
		a.newRemoveCommand(), a.newOpenCommand(), a.newLinkCommand(), a.newUnlinkCommand())
	addGroup(command, "Registries:", a.newCheckCommand(), a.newTrustCommand(), a.newUntrustCommand(), a.newConfigCommand())
	addGroup(command, "This program:", a.newSetupCommand(), a.newShellInitCommand(), a.newCompletionCommand(), a.newVersionCommand())
	command.AddCommand(a.newHooksCommand(), newHelpCommand())
	return command
}

// newHelpCommand is `docker gitea help push`; cobra's own belongs to the root,
// which under docker is docker.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Show the help of a command",
		Hidden: true,
		RunE: func(command *cobra.Command, args []string) error {
			found, _, err := command.Parent().Find(args)
			if err != nil {
				return fault.Usage(err)
			}
			if found == command.Parent() && len(args) > 0 {
				return noSuchCommand(found, args)
			}
			return found.Help()
		},
	}
}

// addGroup adds commands that the help lists together.
func addGroup(command *cobra.Command, title string, group ...*cobra.Command) {
	command.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, each := range group {
		each.GroupID = title
	}
	command.AddCommand(group...)
}

// dockers are commands that docker has itself, with what to type.
var dockers = map[string]string{
	"login": "docker login HOST; where docker itself refuses the certificate, docker-credential-gitea login HOST", "logout": "docker logout HOST",
	"pull": "docker pull HOST/OWNER/NAME", "images": "docker gitea ls HOST/OWNER",
}

func noSuchCommand(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if hint := dockers[args[0]]; hint != "" {
		return fault.Usage(fault.WithHint(err, hint))
	}
	if near := command.SuggestionsFor(args[0]); len(near) > 0 {
		return fault.Usage(fault.WithHint(err, fmt.Sprintf("did you mean %q?", command.CommandPath()+" "+near[0])))
	}
	return fault.Usage(err)
}

// Command returns the commands as they hang below docker, for manuals. They
// are not to be run; [Main] does that.
func Command() *cobra.Command {
	a := &app{System: System{
		LookupEnv: func(string) (string, bool) { return "", false },
		Stdout:    io.Discard,
		Stderr:    io.Discard,
	}}
	root := a.newCommand(formDocker, nil)
	gitea, _, _ := root.Find([]string{pluginName})
	return gitea
}

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
