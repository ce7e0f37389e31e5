package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

func (a *app) newPushCommand() *cobra.Command {
	var s settings
	command := &cobra.Command{
		Use:   "push [OPTIONS] SOURCE [DESTINATION...]",
		Short: "Push an image to a Gitea or Forgejo registry",
		Long: `Push an image to a Gitea or Forgejo registry.

SOURCE is an image of the docker daemon (a name or an ID), a path (an archive
of "docker save" or "docker buildx build -o type=oci", or a directory with an
OCI layout), or "-" for such an archive on standard input. DESTINATION is
HOST/OWNER/NAME[:TAG]; without one, SOURCE is its own destination.

What begins with "/", "./" or "../", ends in ".tar", ".tar.gz" and the like,
or is a directory with an OCI layout, is a path. To push an image of the daemon
that has such a name, write docker-daemon:NAME.`,
		Example: `  # An image of the docker daemon
  docker gitea push app:dev git.example.com/me/app:1

  # Several tags, and a registry with a certificate of its own authority
  docker gitea push --ca-file ca.pem -t 1.2 -t latest app:dev git.example.com/me/app

  # What buildx built, for all platforms, without a daemon in between
  docker buildx build -o type=oci,dest=- . | docker gitea push - git.example.com/me/app:1

  # What would be sent
  docker gitea push --dry-run ./image.tar git.example.com/me/app:1`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("a SOURCE is needed")}
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			// Docker's options are not ours to set: DOCKER_GITEA_HOST is no --host.
			if err := merge(command.LocalNonPersistentFlags(), a.Getenv); err != nil {
				return err
			}
			return a.push(command.Context(), s, args)
		},
	}
	s.register(command.Flags())
	return command
}

// pushPlan is what a push command amounts to, before any I/O on the network.
type pushPlan struct {
	source  source
	options registry.PushOptions
	destinations
}

// planPush checks everything that can be checked from the command line.
func planPush(s settings, args []string, defaultHost string, isLayout func(string) bool) (pushPlan, error) {
	plan := pushPlan{source: parseSource(args[0], isLayout), options: s.pushOptions()}
	if err := errors.Join(checkTags(s.tags), s.check(plan.source)); err != nil {
		return plan, err
	}
	if err := plan.options.Validate(); err != nil {
		return plan, usageError{err}
	}
	if plan.source.kind == sourceDaemon {
		if err := daemon.CheckName(plan.source.name); err != nil {
			return plan, usageError{err}
		}
	}
	names := args[1:]
	if len(names) == 0 {
		name, err := defaultDestination(plan.source)
		if err != nil {
			return plan, err
		}
		names = []string{name}
	}
	var err error
	if plan.destinations, err = parseDestinations(names, s.tags, s.allTags, defaultHost); err != nil {
		return plan, err
	}
	if plan.source.kind == sourceStdin && len(plan.targets) > 1 {
		return plan, usageError{withHint(errors.New("standard input can be read only once, and the destinations are several repositories"),
			"write it to a file first, and push that")}
	}
	return plan, s.checkHosts(plan.targets)
}

// push runs the command. The pushes go one after another and stop at the
// first that fails.
func (a *app) push(ctx context.Context, s settings, args []string) error {
	defaultHost, err := a.defaultHost()
	if err != nil {
		return err
	}
	plan, err := planPush(s, args, defaultHost, isLayoutDir)
	if err != nil {
		return err
	}
	config, err := a.dockerConfig()
	if err != nil {
		return err
	}
	p := pusher{app: a, settings: s, plan: plan, config: config}
	switch {
	case plan.source.kind == sourceDaemon:
		return p.fromDaemon(ctx)
	case plan.source.kind == sourceStdin && isTerminal(a.Stdin):
		return usageError{errors.New("standard input is a terminal, not an image")}
	}
	return p.fromArchive(ctx)
}

// pusher is one run of the push command.
type pusher struct {
	*app
	settings settings
	plan     pushPlan
	config   *dockerconfig.Config
	// clients are those built so far, by host.
	clients map[string]*registry.Client
	daemon  *daemon.Client
	// viaErr is why the daemon could not push by itself.
	viaErr error
}

func (p *pusher) fromArchive(ctx context.Context) error {
	options := &image.Options{Name: p.settings.image, Platform: p.settings.platform, Compression: p.plan.options.Compression}
	for _, t := range p.plan.targets {
		opened, closeSource, err := p.plan.source.open(ctx, p.Stdin, options)
		if err != nil {
			return err
		}
		push := p.plan.options
		push.Source = opened
		if err := errors.Join(p.one(ctx, t, push), closeSource()); err != nil {
			return err
		}
	}
	return nil
}

func (p *pusher) fromDaemon(ctx context.Context) error {
	endpoint, err := daemon.Resolve(p.globals.daemon, p.config, p.Getenv)
	if err != nil {
		return err
	}
	if p.daemon, err = daemon.Connect(ctx, endpoint); err != nil {
		return err
	}
	defer p.daemon.Close()
	if p.settings.allTags {
		return p.allTags(ctx)
	}
	found, err := p.daemon.Image(ctx, p.plan.source.name)
	if err != nil {
		return p.meantPath(err)
	}
	return p.daemonImage(ctx, found, p.plan.targets)
}

// allTags pushes every image of a repository once, with all of its tags.
func (p *pusher) allTags(ctx context.Context) error {
	found, err := p.daemon.Tags(ctx, p.plan.source.name)
	if err != nil {
		return err
	}
	for _, group := range groupTags(found) {
		var targets []target
		for _, t := range p.plan.targets {
			targets = append(targets, target{host: t.host, repository: t.repository, tags: group})
		}
		if err := p.daemonImage(ctx, found[group[0]], targets); err != nil {
			return err
		}
	}
	return nil
}

// groupTags puts the tags of the same image together, sorted.
func groupTags(found map[string]daemon.Image) [][]string {
	byID := map[string]int{}
	var groups [][]string
	for _, tag := range slices.Sorted(maps.Keys(found)) {
		id := found[tag].ID
		i, known := byID[id]
		if !known {
			i = len(groups)
			byID[id] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], tag)
	}
	return groups
}

// daemonImage lets the registry's client ask for the image's bytes, which it
// does only when the registry lacks some.
func (p *pusher) daemonImage(ctx context.Context, found daemon.Image, targets []target) error {
	for _, t := range targets {
		push := p.plan.options
		push.Image = found.Export
		push.ImageID = digest.Digest(found.ID)
		push.Platform = p.settings.platform
		push.DiffIDs = diffIDs(found)
		if p.settings.via != viaExport {
			push.Via = func(ctx context.Context, to registry.Loopback) error {
				p.viaErr = p.viaDaemon(ctx, found, t.host, to)
				return p.viaErr
			}
		}
		if err := p.one(ctx, t, push); err != nil {
			return err
		}
	}
	return nil
}

// meantPath adds to an unknown image that there is a file of its name.
func (p *pusher) meantPath(err error) error {
	name := p.plan.source.name
	if _, missing := errors.AsType[*daemon.NotFoundError](err); missing {
		if _, statErr := os.Stat(name); statErr == nil {
			return withHint(err, fmt.Sprintf("there is a file of this name; to push it, write ./%s", filepath.ToSlash(name)))
		}
	}
	return err
}

// one pushes to one repository and prints the result.
func (p *pusher) one(ctx context.Context, t target, options registry.PushOptions) error {
	client, err := p.client(ctx, t.host)
	if err != nil {
		return err
	}
	display := progress.New(p.settings.mode(), p.Stderr, isTerminal(p.Stderr) && p.Getenv("TERM") != "dumb")
	defer display.Done()
	if p.settings.mode() != progress.ModeQuiet {
		_, _ = fmt.Fprintf(p.Stderr, "The push refers to repository [%s]\n", t.familiar())
		for _, notice := range p.plan.notices {
			_, _ = fmt.Fprintln(p.Stderr, notice)
		}
	}
	var result registry.Result
	options.Tags = t.tags[1:]
	options.Progress = display.Event
	options.Result = &result
	if err := client.Push(ctx, t.familiar()+":"+t.tags[0], options); err != nil {
		return pushError{err}
	}
	display.Done()
	return printResult(p.Stdout, p.Stderr, result, p.settings.quiet)
}

// client returns the client for host, with its credential.
func (p *pusher) client(ctx context.Context, host string) (*registry.Client, error) {
	if client := p.clients[host]; client != nil {
		return client, nil
	}
	credential, err := p.credential(ctx, host)
	if err != nil {
		return nil, err
	}
	config := registry.RegistryConfig{
		URL:      host,
		Insecure: p.settings.insecure,
		Auth:     credential,
		CAFiles:  p.settings.caFiles,
		CertFile: p.settings.cert,
		KeyFile:  p.settings.key,
		CertDirs: registry.DefaultCertDirs(p.config.Dir),
	}
	if p.settings.plainHTTP {
		config.URL = "http://" + host
	}
	client, err := registry.New(config, &registry.Options{
		Save:      p.save,
		Logger:    p.logger(),
		UserAgent: programName + "/" + p.Version,
		Cache:     cache(),
	})
	if err != nil {
		return nil, err
	}
	if p.clients == nil {
		p.clients = map[string]*registry.Client{}
	}
	p.clients[host] = client
	return client, nil
}

// save is the registry client's way to the daemon.
func (p *pusher) save(ctx context.Context, name string) (io.ReadCloser, error) {
	if p.settings.via == viaDaemon && p.viaErr != nil {
		return nil, withHint(fmt.Errorf("the daemon could not push: %w", p.viaErr), "--via export reads the image instead")
	}
	return p.daemon.Save(ctx, name, p.settings.platform)
}

// cache is nil, which remembers nothing, for a user without a directory.
func cache() *registry.Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return registry.NewCache(filepath.Join(dir, programName))
}
