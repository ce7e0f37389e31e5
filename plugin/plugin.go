// Package plugin is the program docker-gitea: the Docker CLI plugin that adds
// `docker gitea push` and its companions, for people at a terminal and for scripts.
//
// # Where to begin
//
// [Main] is the whole program: it takes a [System] with the arguments, the environment
// and the streams, and returns the exit code. The program's own main does nothing else.
// [Command] returns the commands for manuals. A Go program that pushes images uses
// package [github.com/docker-gitea/docker-gitea/registry/remote] instead.
//
// # Errors and concurrency
//
// Main prints every error itself, with a hint, and returns the exit code that package
// fault gives it. It may run several times side by side; what it keeps on disk is
// written so that others never read half of it.
//
// # How a call travels
//
//   - plugin.go: [Main] answers Docker's question for metadata at once, and
//     otherwise runs a command and turns its error into an exit code.
//   - invocation.go: in which of its forms the program was called; root.go
//     builds the commands for it, with docker's own global options; help.go
//     says how they are used.
//   - waiting.go: what is waited for, for how long, and how docker tells a plugin
//     to stop.
//   - config.go: where the options of package options are read from, and the
//     command that shows what came out.
//   - client.go: the registry's client, made of these options.
//   - push.go: the push command. pushplan.go makes a plan of its words, which
//     packages source and target read; pusher.go carries it out: what every SOURCE
//     can do is [origin], and pushdaemon.go and pushsource.go have the kinds;
//     pushmany.go is for several images. copy.go names a registry as
//     the SOURCE, and copyall.go copies whole repositories. credential.go finds
//     credentials, via.go decides how an image leaves a daemon, and package print
//     writes the report.
//   - check.go: the check command: what is right and wrong on the way to a
//     registry.
//   - ls.go, rm.go, open.go and link.go: what a registry holds, named by
//     package target, in the formats of package print. names.go: which registries this
//     machine knows.
//   - trust.go: the certificates that are pinned for registries.
//   - failure.go: prints a failure, which package fault explains.
//   - hidden.go: the secrets that are given in wrong places, which package gate
//     keeps back from all that is printed; gate.go: the gate of what is
//     offered to the shell.
//   - complete.go: what the shell is offered; hooks.go: what docker is told
//     after a push of its own has failed; setup.go: how docker comes to know
//     the program.
//   - shells.go: the small commands.
//
// Beside it, package dockerconfig reads what docker keeps on this machine,
// package daemon takes images out of a Docker Engine, package giteaapi speaks
// Gitea's REST API, and package progress draws.
package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry"
)

// System is what the process around the plugin provides.
type System struct {
	// Program is the path that the process was started as, Args are the
	// arguments after it.
	Program string
	Args    []string
	// LookupEnv returns a variable of the environment, and whether it is set.
	LookupEnv func(key string) (value string, set bool)
	// CacheDir is where programs keep what they can do without. Empty means
	// the user's own.
	CacheDir string
	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	// Browser finds the user's browser: it returns what shows an address there,
	// or nil where nobody would see it.
	Browser func() (show func(address string) error)
	// Version is shown by "version" and told to docker and to registries.
	Version string
}

// Getenv returns a variable of the environment, or nothing, without what the file
// or the secret that it was set from leaves around the value.
func (s System) Getenv(key string) string {
	value, _ := s.LookupEnv(key)
	return registry.Trimmed(value)
}

// isEmpty reports a variable that is set, and to nothing: mostly to a secret that
// there is not.
func (s System) isEmpty(key string) bool {
	_, set := s.LookupEnv(key)
	return set && s.Getenv(key) == ""
}

// metadataCommand is the question that docker asks every plugin at every
// call (docker/cli, cli-plugins/metadata).
const metadataCommand = "docker-cli-plugin-metadata"

// Main runs the program and returns its exit code, one of those of package fault.
// Cancelling ctx stops it as soon as what was begun on a server is undone.
func Main(ctx context.Context, sys System) int {
	if len(sys.Args) == 1 && sys.Args[0] == metadataCommand {
		return writeMetadata(sys)
	}
	ctx, release := watchSocket(ctx, sys.Getenv(socketVariable))
	defer release()
	app := guarded(sys)
	command := app.newCommand(parseInvocation(sys.Program, sys.Args)) //nolint:contextcheck // the commands get it from ExecuteContextC
	executed, err := command.ExecuteContextC(ctx)
	if err == nil {
		return fault.ExitOK
	}
	return app.fail(ctx, executed.CommandPath(), err)
}

// guarded is the program behind its gate.
func guarded(sys System) *app {
	a := &app{System: sys, hidden: hidden{new(gate.Hidden)}}
	a.hidden.hideArguments(sys.Args)
	a.LookupEnv = a.hidden.Lookup(sys.LookupEnv)
	a.hidden.hideEnvironment(sys.Getenv)
	a.Stdout, a.Stderr = gate.New(sys.Stdout, a.hidden.Hidden), gate.New(sys.Stderr, a.hidden.Hidden)
	if isCompletion(sys.Args) {
		a.Stdout = &candidates{sys.Stdout, a.hidden.Hidden}
	}
	return a
}

// writeMetadata answers docker. Schema 0.1.0 is the only one that releases
// before 28.4.1 know.
func writeMetadata(sys System) int {
	metadata := struct {
		SchemaVersion    string `json:"SchemaVersion"`
		Vendor           string `json:"Vendor"`
		Version          string `json:"Version"`
		ShortDescription string `json:"ShortDescription"`
		URL              string `json:"URL"`
	}{
		SchemaVersion:    "0.1.0",
		Vendor:           "docker-gitea",
		Version:          sys.Version,
		ShortDescription: "Push images to Gitea and Forgejo",
		URL:              "https://github.com/docker-gitea/docker-gitea",
	}
	if err := json.NewEncoder(sys.Stdout).Encode(metadata); err != nil {
		_, _ = fmt.Fprintf(sys.Stderr, "docker-gitea: %v\n", err)
		return fault.ExitFailed
	}
	return fault.ExitOK
}
