package plugin

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

func (a *app) newPushCommand() *cobra.Command {
	var reports print.ReportOptions
	command := &cobra.Command{
		Use:   "push [OPTIONS] SOURCE [DESTINATION...]",
		Short: "Push images to a Gitea or Forgejo registry",
		Long: `Push an image to a Gitea or Forgejo registry, or with --to several.

SOURCE is an image of the docker daemon (a name or an ID), a path (an archive
of "docker save" or "docker buildx build -o type=oci", or a directory with an
OCI layout), "-" for such an archive on standard input, or an image of a
registry (docker://HOST/NAME). DESTINATION is HOST/OWNER/NAME[:TAG]; below one
that ends in "/" the image keeps its name. Without one, SOURCE is its own
destination.

With --to DESTINATION, every argument is a SOURCE. Several images go side by
side, a layer that they share is sent once, and when one image fails, the others
go on.

A SOURCE that begins with "/", "./" or "../", ends in ".tar", ".tar.gz" and the
like, or is a directory with an OCI layout, is a path. So is what skopeo calls
oci:PATH, oci-archive:PATH, docker-archive:PATH and dir:PATH. To push an image
of the daemon that has such a name, write docker-daemon:NAME.

The login is that of "docker-credential-gitea login HOST" or "docker login";
DOCKER_GITEA_TOKEN, or -u with --password-stdin, takes its place.`,
		Example: `  # An image of the docker daemon
  docker gitea push app:dev git.example.com/me/app:1

  # Several tags, and a registry with a certificate of its own authority
  docker gitea push --ca-file ca.pem -t 1 -t new app:dev git.example.com/me/app

  # What buildx built, for all platforms, without a daemon in between
  docker buildx build -o type=oci,dest=- . |
    docker gitea push - git.example.com/me/app:1

  # Several images, each under its own name
  docker gitea push --to git.example.com/me/ web:1 worker:1

  # All images of a file, as for a site without a network
  docker gitea push --all-images --to git.example.com/me/ ./bundle.tar

  # What a compose project builds
  docker gitea push --compose compose.yaml --to git.example.com/me/

  # What would be sent
  docker gitea push --dry-run ./image.tar git.example.com/me/app:1`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completePush,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) == 0 && !command.Flags().Changed("compose") && !command.Flags().Changed("bake") {
				return fault.Usage(errors.New("a SOURCE is needed"))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			return a.push(command.Context(), command.Flags(), pushCall{args: args, reports: reports})
		},
	}
	new(options.Settings).Register(command.Flags())
	reports.Register(command.Flags())
	addHelpAll(command)
	// It fails only for an option that there is not.
	_ = command.RegisterFlagCompletionFunc("to", func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return a.completeRemote(depthImage)(command, nil, typed)
	})
	return command
}

// memoryLimit makes the garbage collector work harder before a push takes more.
// What it holds at a time is less, whatever the size of the image: at most two
// layers' blocks that are being compressed, and what is kept of each blob on
// its way.
const memoryLimit = 64 << 20

// pushCall is one call of push, or of copy for one image.
type pushCall struct {
	args        []string
	reports     print.ReportOptions
	noReferrers bool
}

// push runs the command. There is a report of each push, also of those that were
// not begun.
func (a *app) push(ctx context.Context, flags *pflag.FlagSet, call pushCall) error {
	args, reports := call.args, call.reports
	if a.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	names, err := a.naming(ctx)
	if err != nil {
		return err
	}
	config, l, err := a.configured(flags)
	if err != nil {
		return err
	}
	plan, err := planPush(l, args, names, source.IsLayout)
	if err != nil {
		return err
	}
	plan.noReferrers = call.noReferrers
	for _, j := range plan.jobs {
		if j.source.Kind == source.Stdin && print.IsTerminal(a.Stdin) {
			return fault.Usage(errors.New("standard input is a terminal, not an image"))
		}
	}
	if err := reports.Prepare(); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx, plan.general.Timeout)
	defer cancel()
	plan.readCertificates(config.Dir)
	mode := plan.general.Mode()
	a.unheard = mode == progress.ModeQuiet || mode == progress.ModeJSON
	p := &pusher{app: a, plan: plan, config: config, words: reports.Format.IsText()}
	ended := p.run(ctx)
	err = errors.Join(ended.err, reports.Write(a.Stdout, plan.reports(ended, time.Now()), plan.many || len(plan.targets()) > 1 || plan.general.AllTags))
	if err != nil && mode == progress.ModeJSON {
		return fault.InJSON(err)
	}
	return err
}

// reports are those of all pushes of a plan.
func (p *pushPlan) reports(e ending, now time.Time) []v1alpha1.Push {
	var reports []v1alpha1.Push
	for i, j := range p.jobs {
		for _, o := range print.Attempts(j.targets, e.begun[i], e.errs[i], now) {
			reports = append(reports, print.NewReport(j.source.String(), p.settings[o.Host], o))
		}
	}
	return reports
}
