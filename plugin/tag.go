package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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

A TAG with a "/" is HOST/OWNER/NAME[:TAG], another image of the same registry.
There the layers are mounted. To another registry, use docker gitea copy.`,
		Example: `  docker gitea tag git.example.com/me/app:1.2.3 1.2 1 latest

  # Another name
  docker gitea tag git.example.com/me/app:1.2.3 git.example.com/prod/app:1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fault.Usage(errors.New("a HOST/OWNER/NAME:TAG and a TAG are needed"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemote(depthTag),
		RunE: func(command *cobra.Command, args []string) error {
			return a.tag(command.Context(), command.Flags(), args, wanted)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	command.Flags().BoolVar(&wanted.NoClobber, "no-clobber", false, options.NoClobberUsage)
	return command
}

// renaming are the tags that an image gets in one repository of its registry.
type renaming struct {
	to   target.Remote
	tags []string
}

// renamings reads TAG or HOST/OWNER/NAME[:TAG], each of which is a name for image.
func (a *app) renamings(ctx context.Context, image target.Remote, words []string) (all []renaming, err error) {
	for _, word := range words {
		to := image
		if to.Reference = word; strings.Contains(word, "/") {
			named, err := a.parseImages(ctx, []string{word})
			if err != nil {
				return nil, err
			}
			to = named[0]
			to.Reference = cmp.Or(to.Reference, "latest")
		}
		if err := target.CheckTags([]string{to.Reference}); err != nil {
			return nil, err
		}
		if to.Host != image.Host {
			return nil, fault.Usage(fault.WithHint(fmt.Errorf("%s is on another registry than %s, and tag sends no layers", to, image), fmt.Sprintf("to copy it there: docker gitea copy %s %s", image, to)))
		}
		i := slices.IndexFunc(all, func(r renaming) bool { return r.to.Repository() == to.Repository() })
		if i < 0 {
			i = len(all)
			all = append(all, renaming{to: to})
		}
		all[i].tags = append(all[i].tags, to.Reference)
	}
	return all, nil
}

func (a *app) tag(ctx context.Context, flags *pflag.FlagSet, args []string, wanted remote.TagOptions) error {
	images, err := a.parseImages(ctx, args[:1])
	if err != nil {
		return err
	}
	image := images[0]
	image.Reference = cmp.Or(image.Reference, "latest")
	all, err := a.renamings(ctx, image, args[1:])
	if err != nil {
		return err
	}
	client, err := a.connect(ctx, flags, image)
	if err != nil {
		return err
	}
	for _, r := range all {
		done := a.asking(image.Host)
		result, err := r.perform(ctx, client, image, wanted)
		done()
		switch {
		case errors.Is(err, registry.ErrManifestUnknown):
			return imageFailure(image, err)
		case err != nil:
			return clobbers(fault.Push(err))
		}
		if err := print.WriteResult(a.Stdout, result, print.Style{Full: len(all) > 1}); err != nil {
			return err
		}
	}
	return nil
}

// perform gives image its names in one repository. In another repository than the
// image's own, it mounts the layers.
func (r renaming) perform(ctx context.Context, client *remote.Client, image target.Remote, wanted remote.TagOptions) (result registry.Result, err error) {
	if r.to.Repository() == image.Repository() {
		return client.Tag(ctx, image.Repository(), image.Reference, r.tags, wanted)
	}
	from := remote.Member{Repository: image.Repository(), Reference: image.Reference}
	err = client.Copy(ctx, r.to.Familiar()+":"+r.tags[0], from, registry.PushOptions{Tags: r.tags[1:], NoClobber: wanted.NoClobber, Result: &result})
	return result, err
}
