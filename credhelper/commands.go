package credhelper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/internal/switches"
	"github.com/docker-gitea/docker-gitea/registry"
)

// usageError marks arguments that make no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// execute runs a command for people.
func (h *helper) execute(ctx context.Context) int {
	root := h.rootCommand() //nolint:contextcheck // commands take the context of ExecuteContext
	args := h.Args
	// The protocol's spelling. A version template of cobra would link
	// text/template, and with it two megabytes of what it may call.
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-v") {
		args = []string{"version"}
	}
	root.SetArgs(args)
	root.SetIn(h.Stdin)
	root.SetOut(h.Stdout)
	root.SetErr(h.Stderr)
	return h.report(ctx, root.ExecuteContext(ctx))
}

// report tells how a command ended, and returns the exit code.
func (h *helper) report(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	h.log.DebugContext(ctx, "command failed", slog.Any("error", err))
	if errors.Is(err, context.Canceled) { // by Ctrl-C
		fmt.Fprintf(h.Stderr, "%s: interrupted\n", program)
		return exitInterrupted
	}
	if !errors.Is(err, errReported) {
		fmt.Fprintf(h.Stderr, "%s: %s\n", program, registry.Printable(err.Error()))
	}
	printAdvice(h.Stderr, "", adviceOn(err))
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitError
}

func (h *helper) rootCommand() *cobra.Command {
	var debug bool
	root := &cobra.Command{
		Use:   program,
		Short: "Keep Docker's logins to Gitea and Forgejo registries",
		Long: `Keep Docker's logins to Gitea and Forgejo registries.

Log in once, then let Docker ask this program:

  docker-credential-gitea login git.example.com
  docker-credential-gitea configure-docker git.example.com

Docker itself uses the commands get, store, erase and list.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %.60q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if debug {
				h.log = debugLog(h.Stderr)
			}
			if cmd.Name() == "version" || !cmd.HasParent() { // which need no directory
				return nil
			}
			return h.unusable
		},
	}
	root.PersistentFlags().BoolVar(&debug, "debug", false, "show on standard error what is being done")
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		switches.Shorten(cmd.LocalFlags())
		switches.Shorten(cmd.InheritedFlags())
		return usage(cmd)
	})
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		h.loginCommand(), h.logoutCommand(), h.statusCommand(),
		h.configureCommand(), h.unconfigureCommand(), h.doctorCommand(),
		h.registerAppCommand(), h.versionCommand(),
	)
	return root
}

func (h *helper) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return credentials.PrintVersion(cmd.OutOrStdout()) },
	}
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %.60q", args[0])}
	}
	return nil
}

func oneHost(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{errors.New("name one host, as in git.example.com or localhost:3000")}
	}
	return nil
}

// hosts parses the arguments of a command that takes several.
func hosts(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, usageError{errors.New("name a host, as in git.example.com or localhost:3000")}
	}
	var parsed []string
	for _, arg := range args {
		host, err := registry.NormalizeHost(arg)
		if err != nil {
			return nil, usageError{err}
		}
		parsed = append(parsed, host)
	}
	return parsed, nil
}

// errReported ends a command whose output has said it all.
var errReported = errors.New("see above")

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
