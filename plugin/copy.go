package plugin

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
)

// notOfCopy are options of a push that say how an image leaves a daemon or a
// file.
var notOfCopy = []string{"all-images", "bake", "compose", "all-tags", "image", "to", "via"}

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
Within one registry no layer is read or sent. What refers to the image goes with
it: signatures, SBOMs and the like.

With --all-tags it copies every tag of the image, and for HOST/OWNER/ every
image of the owner with every tag. It leaves alone what is the same already, so
a copy that was stopped goes on where it was.

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
		Args: func(command *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fault.Usage(errors.New("an image and a DESTINATION are needed"))
			}
			return checkCopied(command.Flags())
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
			return a.push(command.Context(), command.Flags(), pushCall{args, reports, several.noReferrers})
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

// checkCopied refuses a compression that no layer would get: all layers in a
// registry have one already.
func checkCopied(flags *pflag.FlagSet) error {
	if (flags.Changed("compression") || flags.Changed("compression-level")) && !flags.Changed("force-compression") {
		return fault.Usage(fault.WithHint(errors.New("a copy is byte for byte, whatever --compression says"), "to send every layer with that compression, under another digest: --force-compression"))
	}
	return nil
}

// copyOptions choose what is copied of a whole repository, or of an owner.
type copyOptions struct {
	allTags     bool
	match       string
	noReferrers bool
}

func (o *copyOptions) register(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.allTags, "all-tags", "a", false, "Copy all tags of the image")
	flags.StringVar(&o.match, "match", "", `Of all tags, copy those that match, such as "1.*"`)
	flags.BoolVar(&o.noReferrers, "no-referrers", false, "Leave out what refers to an image: signatures, SBOMs, tags like sha256-…")
}

// wanted reports whether more than one image is to be copied.
func (o *copyOptions) wanted(from string) bool { return o.allTags || strings.HasSuffix(from, "/") }

// check refuses the options that go only with several tags.
func (o *copyOptions) check() error {
	if o.match != "" {
		return fault.Usage(errors.New("--match goes with --all-tags, or with all images of an owner"))
	}
	return nil
}

// referrersTag is the tag of what refers to an image (OCI distribution
// specification, "Referrers Tag Schema"), and of what cosign signs it with.
var referrersTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\..*)?$`)

// takes reports whether a tag is to be copied.
func (o *copyOptions) takes(tag string) bool {
	matched, err := path.Match(o.match, tag)
	return (o.match == "" || err == nil && matched) && (!o.noReferrers || !referrersTag.MatchString(tag))
}

// parseCopied reads HOST/OWNER/ or an image without a tag.
func parseCopied(arg string, n target.Naming) (target.Remote, error) {
	arg = strings.TrimPrefix(arg, source.RegistryPrefix)
	if strings.HasSuffix(arg, "/") {
		if strings.Count(arg, "/") > 1 {
			n = target.Naming{} // HOST/OWNER/, and any registry can be copied from
		}
		r, err := target.ParseRemote(arg, n)
		if err == nil && (r.Owner == "" || r.Name != "") {
			err = fault.Usage(fmt.Errorf("%q names no owner: HOST/OWNER/ is needed", arg))
		}
		return r, err
	}
	image, err := source.ParseRegistryImage(arg)
	if err == nil && (target.HasTag(arg) || strings.Contains(arg, "@")) {
		err = fault.Usage(fmt.Errorf("%q is one image, and --all-tags wants HOST/NAME without a tag", arg))
	}
	owner, name, _ := strings.Cut(image.Repository, "/")
	return target.Remote{Host: image.Host, Owner: owner, Name: name}, err
}

// without are flags without the one called name.
func without(flags *pflag.FlagSet, name string) *pflag.FlagSet {
	others := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Name != name {
			others.AddFlag(f)
		}
	})
	return others
}
