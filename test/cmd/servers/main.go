// Command servers provides the servers and programs that the tests use,
// and starts one of them to work with by hand.
//
//	servers build [NAME...]   install and build everything, or build the named programs
//	servers build wide        install and build what only the broader tests need
//	servers path NAME         print where a program is, after building it if need be
//	servers up NAME           run gitea, forgejo, registry, classic, graph or containerd until interrupted
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

const usage = "usage: servers build [NAME...|wide] | path NAME | up gitea|forgejo|registry|classic|graph|containerd"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "build":
		return errors.Join(servers.InstallPackages(ctx, out, false), servers.Build(ctx, out))
	case len(args) == 2 && args[0] == "build" && args[1] == servers.Wide:
		return errors.Join(servers.InstallPackages(ctx, out, true), servers.Build(ctx, out, servers.Wide))
	case len(args) > 1 && args[0] == "build":
		return servers.Build(ctx, out, args[1:]...)
	case len(args) == 2 && args[0] == "path":
		return path(ctx, args[1], out, progress)
	case len(args) == 2 && args[0] == "up":
		return up(ctx, args[1], out)
	}
	return errors.New(usage)
}

func path(ctx context.Context, name string, out, progress io.Writer) error {
	if _, err := servers.Program(name); err != nil {
		if err := servers.Build(ctx, progress, name); err != nil {
			return err
		}
	}
	program, err := servers.Program(name)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, program)
	return nil
}

// up runs one server until ctx is done.
func up(ctx context.Context, name string, out io.Writer) error {
	stop, err := start(ctx, name, out)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "running; interrupt to stop")
	<-ctx.Done()
	return stop()
}

func start(ctx context.Context, name string, out io.Writer) (stop func() error, err error) {
	switch name {
	case "gitea", "forgejo":
		return startGitea(ctx, out, servers.GiteaOptions{Forgejo: name == "forgejo"})
	case "registry":
		s, err := servers.StartRegistry(ctx, servers.RegistryOptions{})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "url       %s\nca file   %s\n", s.URL, s.CAFile)
		return s.Stop, nil
	case string(servers.Classic), string(servers.Graph), string(servers.Containerd):
		e, err := servers.StartEngine(ctx, servers.Store(name), servers.EngineOptions{})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, "export DOCKER_HOST=%s DOCKER_CONFIG=%s\n", e.Host(), e.Config)
		return e.Stop, nil
	}
	return nil, errors.New(usage)
}

func startGitea(ctx context.Context, out io.Writer, opts servers.GiteaOptions) (stop func() error, err error) {
	g, err := servers.StartGitea(ctx, opts)
	if err != nil {
		return nil, err
	}
	token, err := g.CreateToken(ctx, servers.AdminUser, "write:package", "read:user")
	if err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	fmt.Fprintf(out, "url       %s\nca file   %s\nuser      %s\npassword  %s\ntoken     %s\n",
		g.URL, g.CAFile, servers.AdminUser, servers.AdminPassword, token)
	return g.Stop, nil
}
