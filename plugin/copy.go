package plugin

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/source"
)

// notOfCopy are options of a push that say how an image leaves a daemon or a
// file.
var notOfCopy = []string{"all-images", "bake", "compose", "all-tags", "compression", "compression-level", "image", "to", "via"}

func (a *app) newCopyCommand() *cobra.Command {
	var reports print.ReportOptions
	var several copyOptions
	command := &cobra.Command{
		Use:   "copy [OPTIONS] HOST/NAME[:TAG|@DIGEST] DESTINATION...",
		Short: "Copy images from a registry to a registry",
		Long: `Copy an image from a registry to a registry, byte for byte: an index with all
of its platforms, or the one of --platform. Nothing is written to the disk.

Without a host the image is on Docker Hub, as it is for docker. DESTINATION is
HOST/OWNER/NAME[:TAG]; below one that ends in "/" the image keeps its name.
Within one registry no layer is read or sent.

With --all-tags every tag of the image is copied, and of HOST/OWNER/ every image
of the owner with every tag. What is the same already is left alone, so that a
copy that was stopped goes on where it was.

The options are for the destination. The login of the registry that is copied
from is that of "docker login", its certificates those of gitea.yaml, of
"docker gitea trust" and of docker's certs.d.`,
		Example: `  docker gitea copy ghcr.io/me/app:1 git.example.com/me/app:1

  # Every tag, and every image of an owner
  docker gitea copy --all-tags ghcr.io/me/app git.example.com/me/
  docker gitea copy old.example.com/me/ git.example.com/me/

  # Within one registry
  docker gitea copy git.example.com/me/app:1 git.example.com/prod/app:1`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction: func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			depth := depthTag
			if len(args) > 0 {
				depth = depthImage
			}
			return a.completeRemote(depth)(command, nil, typed)
		},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fault.Usage(errors.New("an image and a DESTINATION are needed"))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			if several.wanted(args[0]) {
				return a.copyAll(command.Context(), command.Flags(), copyCall{several, reports, args})
			}
			if err := several.check(); err != nil {
				return err
			}
			args = slices.Clone(args)
			args[0] = source.RegistryPrefix + strings.TrimPrefix(args[0], source.RegistryPrefix)
			return a.push(command.Context(), command.Flags(), reports, args)
		},
	}
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(options.Settings).Register(all)
	all.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(notOfCopy, f.Name) {
			command.Flags().AddFlag(f)
		}
	})
	reports.Register(command.Flags())
	several.register(command.Flags())
	addHelpAll(command)
	return command
}
