package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/giteaapi"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
)

func (a *app) newOpenCommand() *cobra.Command {
	var printOnly bool
	command := &cobra.Command{
		Use:   "open [OPTIONS] HOST[/OWNER[/NAME[:TAG]]]",
		Short: "Open the page of an image in the browser",
		Long: `Open the page of an image, or of all packages of an owner, in the browser.

BROWSER names another browser than the system's. Without it, over SSH or without
a display, the address is printed instead.`,
		Example: `  docker gitea open git.example.com/me/app
  docker gitea open --print git.example.com/me`,
		Args:                  oneRemote,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthTag),
		RunE: func(command *cobra.Command, args []string) error {
			return a.open(command.Context(), command.Flags(), args[0], printOnly)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	command.Flags().BoolVar(&printOnly, "print", false, "Print the address of the page, and open nothing")
	return command
}

func oneRemote(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fault.Usage(errors.New("one HOST[/OWNER[/NAME[:TAG]]] is needed"))
	}
	return nil
}

func (a *app) open(ctx context.Context, flags *pflag.FlagSet, arg string, printOnly bool) error {
	names, err := a.naming(ctx)
	if err != nil {
		return err
	}
	r, err := target.ParseRemote(arg, names)
	if err != nil {
		return err
	}
	client, err := a.connect(ctx, flags, r)
	if err != nil {
		return err
	}
	done := a.asking(r.Host)
	api, err := giteaapi.Find(ctx, client)
	done()
	if err != nil {
		return noAPI(err)
	}
	origin, err := client.Origin(ctx)
	if err != nil {
		return err
	}
	page := origin + api.Root() + pagePath(r)
	show := a.Browser()
	if printOnly || show == nil {
		_, err := fmt.Fprintln(a.Stdout, page)
		return err
	}
	_, _ = fmt.Fprintf(a.Stderr, "Opening %s in the browser\n", page)
	if err := show(page); err != nil {
		return fault.WithHint(fmt.Errorf("open the browser: %w", err), "--print prints the address")
	}
	return nil
}

// pagePath is the path of a page below Gitea's root.
//
// Source: Gitea 1.26 models/packages/descriptor.go, VersionWebLink.
func pagePath(r target.Remote) string {
	switch {
	case r.Owner == "":
		return "/"
	case r.Name == "":
		return "/" + url.PathEscape(r.Owner) + "/-/packages?type=container"
	}
	path := "/" + url.PathEscape(r.Owner) + "/-/packages/container/" + url.PathEscape(r.Name)
	if r.Reference != "" {
		path += "/" + url.PathEscape(r.Reference)
	}
	return path
}

// noAPI says of a server without Gitea's API what can be done about it.
func noAPI(err error) error {
	if errors.Is(err, giteaapi.ErrNone) {
		return fault.WithHint(err, "is it a Gitea or Forgejo? its API was looked for at the root of the host and at the usual paths; docker gitea check shows more")
	}
	return err
}
