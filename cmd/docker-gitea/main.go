// Command docker-gitea is a Docker CLI plugin that pushes images to Gitea and
// Forgejo registries. See package plugin.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker-gitea/docker-gitea/cmd/internal/browser"
	"github.com/docker-gitea/docker-gitea/plugin"
)

// version is set by the linker.
var version = "dev"

func main() {
	// net/http logs by itself what odd servers send on idle connections. What
	// becomes of a request is in its error, and in the log of --debug.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal cancels; the next one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(plugin.Main(ctx, plugin.System{
		Program:   os.Args[0],
		Args:      os.Args[1:],
		LookupEnv: os.LookupEnv,
		Stdin:     os.Stdin,
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Browser:   browser.System{Getenv: os.Getenv, Stdin: os.Stdin, Stderr: os.Stderr}.Find,
		Version:   version,
	}))
}
