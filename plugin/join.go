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
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// joinOptions are the options of join that are not those of a connection.
type joinOptions struct {
	destinations   []string
	annotations    []string
	noClobber      bool
	noAttestations bool
}

func (a *app) newJoinCommand() *cobra.Command {
	var wanted joinOptions
	command := &cobra.Command{
		Use:   "join [OPTIONS] -t DESTINATION HOST/NAME[:TAG|@DIGEST]...",
		Short: "Make one image for several platforms of images in registries",
		Long: `Make one image for several platforms (an index) of images in registries, such as
those that jobs for one platform each have pushed.

The result stays whole when the tag of an image is moved or deleted. An image of
another repository or registry is copied first. An image that has several
platforms gives all of them, and its attestations. The result is the same in
any order.

The options are for the destination; see docker gitea copy.`,
		Example: `  docker gitea join -t git.example.com/me/app:1 \
    git.example.com/me/app:1-amd64 git.example.com/me/app:1-arm64`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(wanted.destinations) == 0 {
				return fault.Usage(errors.New("a DESTINATION (-t) and at least one image are needed"))
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completeRemotes(depthTag),
		RunE: func(command *cobra.Command, args []string) error {
			return a.join(command.Context(), command.Flags(), wanted, args)
		},
	}
	new(options.Inquiry).Register(command.Flags())
	command.Flags().StringArrayVarP(&wanted.destinations, "tag", "t", nil, "Put the image here (HOST/OWNER/NAME[:TAG]); may be repeated")
	command.Flags().BoolVar(&wanted.noClobber, "no-clobber", false, options.NoClobberUsage)
	command.Flags().BoolVar(&wanted.noAttestations, "no-attestations", false, options.NoAttestationsUsage)
	options.LimitRate(command.Flags())
	command.Flags().StringArrayVar(&wanted.annotations, "annotation", nil, "Give the index this annotation (KEY=VALUE); may be repeated")
	return command
}

// join makes the index in each repository. The registries of the images have
// their own settings, like registries that are copied from.
func (a *app) join(ctx context.Context, flags *pflag.FlagSet, wanted joinOptions, args []string) error {
	annotations, err := parseAnnotations(wanted.annotations)
	if err != nil {
		return err
	}
	names, err := a.naming(ctx)
	if err != nil {
		return err
	}
	var images []source.RegistryImage
	for _, name := range args {
		found, err := source.ParseRegistryImage(name)
		if err != nil {
			return err
		}
		images = append(images, found)
	}
	config, l, err := a.configured(flags)
	if err != nil {
		return err
	}
	p := &pusher{app: a, config: config, plan: pushPlan{layers: l, settings: map[string]options.Settings{}}}
	destinations, _ := names.All(wanted.destinations)
	parsed, err := target.ParseDestinations(destinations, nil, false)
	if err != nil {
		return err
	}
	p.plan.jobs = []job{{source.Source{Kind: source.Registry}, parsed.Targets}}
	if err := p.plan.resolve(l); err != nil {
		return err
	}
	for _, t := range parsed.Targets {
		if err := p.joinTo(ctx, t, images, remote.JoinOptions{Tags: t.Tags[1:], Annotations: annotations, NoClobber: wanted.noClobber, NoAttestations: wanted.noAttestations}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pusher) joinTo(ctx context.Context, t target.Target, images []source.RegistryImage, wanted remote.JoinOptions) error {
	client, err := p.client(ctx, t.Host, t.Repository)
	if err != nil {
		return err
	}
	var members []remote.Member
	for _, i := range images {
		m := remote.Member{Repository: i.Repository, Reference: i.Version}
		if m.Client, err = p.client(ctx, i.Host, i.Repository); err != nil {
			return err
		}
		members = append(members, m)
	}
	result, err := client.Join(ctx, t.Familiar()+":"+t.Tags[0], members, wanted)
	switch {
	case errors.Is(err, registry.ErrManifestUnknown):
		return fault.WithHint(fault.Push(err), listing(images...))
	case err != nil:
		return clobbers(fault.Push(err))
	}
	return print.WriteResult(p.Stdout, result, print.Style{})
}

// parseAnnotations reads KEY=VALUE, which may be given once for each key.
func parseAnnotations(given []string) (map[string]string, error) {
	annotations := map[string]string{}
	for _, arg := range given {
		key, value, found := strings.Cut(arg, "=")
		if _, twice := annotations[key]; !found || key == "" || twice {
			return nil, fault.Usage(fmt.Errorf("--annotation %q: KEY=VALUE is needed, once for each KEY", arg))
		}
		annotations[key] = value
	}
	return annotations, nil
}
