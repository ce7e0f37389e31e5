package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

func (a *app) newTagCommand() *cobra.Command {
	var wanted remote.TagOptions
	command := &cobra.Command{
		Use:   "tag [OPTIONS] HOST/OWNER/NAME[:TAG|@DIGEST] TAG...",
		Short: "Give an image of a registry more tags",
		Long: `Give an image of a registry more tags. Nothing is read or sent but its manifest.
Without a tag or a digest the image is that of the tag "latest".

To give it another name, use docker gitea copy.`,
		Example: `  docker gitea tag git.example.com/me/app:1.2.3 1.2 1 latest`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fault.Usage(errors.New("a HOST/OWNER/NAME:TAG and a TAG are needed"))
			}
			return checkNewTags(args[0], args[1:])
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthTag),
		RunE: func(command *cobra.Command, args []string) error {
			return a.tag(command.Context(), command.Flags(), args[0], args[1:], wanted)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	command.Flags().BoolVar(&wanted.NoClobber, "no-clobber", false, options.NoClobberUsage)
	return command
}

// checkNewTags refuses what is no tag, before anything is asked.
func checkNewTags(image string, tags []string) error {
	for _, tag := range tags {
		if strings.Contains(tag, "/") {
			return fault.WithHint(target.CheckTags([]string{tag}), fmt.Sprintf("to give the image another name: docker gitea copy %s %s", image, tag))
		}
	}
	return target.CheckTags(tags)
}

func (a *app) tag(ctx context.Context, flags *pflag.FlagSet, name string, tags []string, wanted remote.TagOptions) error {
	images, err := a.parseImages(ctx, []string{name})
	if err != nil {
		return err
	}
	image := images[0]
	if image.Reference == "" {
		image.Reference = "latest"
	}
	client, err := a.connect(ctx, flags, image)
	if err != nil {
		return err
	}
	result, err := client.Tag(ctx, image.Repository(), image.Reference, tags, wanted)
	switch {
	case errors.Is(err, registry.ErrManifestUnknown):
		return imageFailure(image, err)
	case err != nil:
		return clobbers(fault.Push(err))
	}
	return print.WriteResult(a.Stdout, result, print.Style{})
}
