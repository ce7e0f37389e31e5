package plugin

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/dockerconfig"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

func (a *app) newPushCommand() *cobra.Command {
	var reports print.ReportOptions
	command := &cobra.Command{
		Use:   "push [OPTIONS] SOURCE [DESTINATION...]",
		Short: "Push an image to a Gitea or Forgejo registry",
		Long: `Push an image to a Gitea or Forgejo registry.

SOURCE is an image of the docker daemon (a name or an ID), a path (an archive
of "docker save" or "docker buildx build -o type=oci", or a directory with an
OCI layout), "-" for such an archive on standard input, or an image of a
registry (docker://HOST/NAME). DESTINATION is HOST/OWNER/NAME[:TAG]; without
one, SOURCE is its own destination.

What begins with "/", "./" or "../", ends in ".tar", ".tar.gz" and the like,
or is a directory with an OCI layout, is a path. So is what skopeo calls
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

  # What would be sent
  docker gitea push --dry-run ./image.tar git.example.com/me/app:1`,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     a.completePush,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.Usage(errors.New("a SOURCE is needed"))
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			return a.push(command.Context(), command.Flags(), reports, args)
		},
	}
	new(options.Settings).Register(command.Flags())
	reports.Register(command.Flags())
	return command
}

// pushPlan is what a push command amounts to, before any I/O on the network.
type pushPlan struct {
	source source.Source
	layers options.Layers
	// general are the settings for no registry in particular, settings those
	// for each one, by host.
	general  options.Settings
	settings map[string]options.Settings
	target.Destinations
}

// readCertificates has the system's certificates read, which takes long, while
// the source is looked at, the credential is fetched and the connection is
// made, unless no registry will be asked for one of theirs. They are kept in
// memory; whether they can be read shows when they are needed.
func (p pushPlan) readCertificates(dockerConfig string) {
	for host, s := range p.settings {
		go func() {
			config, err := certs.TLSConfig(s.RegistryConfig(host, registry.AuthConfig{}, dockerConfig))
			if err == nil && config.RootCAs == nil && !s.Insecure && !s.PlainHTTP {
				_, _ = x509.SystemCertPool()
			}
		}()
	}
}

// planPush checks everything that can be checked from the command line and
// the configuration.
func planPush(l options.Layers, args []string, n target.Naming, isLayout func(string) bool) (pushPlan, error) {
	plan := pushPlan{source: source.Parse(args[0], isLayout), layers: l, settings: map[string]options.Settings{}}
	if plan.source.Kind == source.Registry {
		var err error
		if plan.source.Remote, err = source.ParseRegistryImage(plan.source.Name); err != nil {
			return plan, err
		}
	}
	s := &plan.general
	general := l
	general.Getenv = options.WithoutTrust(l.Getenv)
	if _, err := general.Resolve(s, ""); err != nil {
		return plan, err
	}
	if err := errors.Join(target.CheckTags(s.Tags), checkSource(*s, plan.source)); err != nil {
		return plan, err
	}
	if plan.source.Kind == source.Daemon {
		if err := daemon.CheckName(plan.source.Name); err != nil {
			return plan, fault.Usage(err)
		}
	}
	names := args[1:]
	if len(names) == 0 {
		name, err := plan.source.Destination()
		if err != nil {
			return plan, err
		}
		names = []string{name}
	}
	names, notices := n.All(names)
	var err error
	if plan.Destinations, err = target.ParseDestinations(names, s.Tags, s.AllTags); err != nil {
		return plan, err
	}
	plan.Notices = append(notices, plan.Notices...)
	if plan.source.Kind == source.Stdin && len(plan.Targets) > 1 {
		return plan, fault.Usage(fault.WithHint(errors.New("standard input can be read only once, and the destinations are several repositories"),
			"write it to a file first, and push that"))
	}
	if err := plan.resolve(l); err != nil {
		return plan, err
	}
	if err := plan.checkPorts(names); err != nil {
		return plan, err
	}
	return plan, plan.checkHosts()
}

// resolve gives each registry its settings.
func (p *pushPlan) resolve(l options.Layers) error {
	for _, t := range p.Targets {
		l.Named = append(l.Named, t.Host)
	}
	for _, t := range p.Targets {
		var s options.Settings
		if _, err := l.Resolve(&s, t.Host); err != nil {
			return err
		}
		if err := errors.Join(checkSource(s, p.source), checkLink(t.Remote(), s.Link)); err != nil {
			return err
		}
		p.settings[t.Host] = s
	}
	return nil
}

// checkSource refuses options that do not go with the source.
func checkSource(s options.Settings, src source.Source) error {
	var wrong string
	switch {
	case s.AllTags && src.Kind != source.Daemon:
		wrong = "--all-tags is for images of the docker daemon"
	case s.AllTags && target.HasTag(src.Name):
		wrong = "--all-tags wants a SOURCE without a tag"
	case s.Image != "" && (src.Kind == source.Daemon || src.Kind == source.Registry):
		wrong = "--image chooses from a file; an image of the docker daemon or of a registry is named by SOURCE"
	case s.Image != "" && src.Image != "":
		wrong = "--image and a SOURCE that names an image exclude each other"
	case s.PasswordStdin && src.Kind == source.Stdin:
		wrong = "--password-stdin and an image on standard input exclude each other"
	default:
		return s.Check()
	}
	return fault.Usage(errors.New(wrong))
}

// checkPorts keeps plain HTTP away from a port that is given as that of HTTPS.
func (p pushPlan) checkPorts(names []string) error {
	for _, name := range names {
		host, _, _ := strings.Cut(name, "/")
		if bare, given := strings.CutSuffix(host, ":443"); given && p.settings[strings.ToLower(bare)].PlainHTTP {
			return target.RefusePort443(bare)
		}
	}
	return nil
}

// checkHosts keeps one credential from going to several registries.
func (p pushPlan) checkHosts() error {
	for _, t := range p.Targets {
		if (p.general.PasswordStdin || p.general.Username != "") && t.Host != p.Targets[0].Host {
			return fault.Usage(errors.New("--username and --password-stdin are for one registry, and the destinations are on several"))
		}
	}
	return nil
}

// memoryLimit makes the garbage collector work harder before a push takes more.
// What it holds at a time is less, whatever the size of the image: at most two
// layers' blocks that are being compressed, and what is kept of each blob on
// its way.
const memoryLimit = 64 << 20

// push runs the command. The pushes go one after another and stop at the
// first that fails; there is a report of each all the same.
func (a *app) push(ctx context.Context, flags *pflag.FlagSet, reports print.ReportOptions, args []string) error {
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
	if plan.source.Kind == source.Stdin && print.IsTerminal(a.Stdin) {
		return fault.Usage(errors.New("standard input is a terminal, not an image"))
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
	switch plan.source.Kind {
	case source.Daemon:
		err = p.fromDaemon(ctx)
	case source.Registry:
		err = p.fromRegistry(ctx)
	case source.Path, source.Stdin:
		err = p.fromArchive(ctx)
	}
	if ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		err = fault.Push(context.Cause(ctx))
	}
	several := len(plan.Targets) > 1 || plan.general.AllTags
	err = errors.Join(err, reports.Write(a.Stdout, plan.reports(p.begun, err, time.Now()), several))
	if err != nil && plan.general.Mode() == progress.ModeJSON {
		return fault.InJSON(err)
	}
	return err
}

// reports are those of all pushes of a plan.
func (p pushPlan) reports(begun []print.Outcome, err error, now time.Time) []v1alpha1.Push {
	var reports []v1alpha1.Push
	for _, o := range print.Attempts(p.Targets, begun, err, now) {
		reports = append(reports, print.NewReport(p.source.String(), p.settings[o.Host], o))
	}
	return reports
}

// pusher is one run of the push command.
type pusher struct {
	*app
	plan   pushPlan
	config *dockerconfig.Config
	// words: the result of each push is printed in words.
	words bool
	// begun are the pushes so far.
	begun  []print.Outcome
	daemon *daemon.Client
	// viaErr is why the daemon could not push by itself.
	viaErr error
	// ofIndex is said of the image that is pushed now; empty for most.
	ofIndex string

	// mu guards clients: those built so far, by the login that they use.
	mu      sync.Mutex
	clients map[string]*remote.Client
}

func (p *pusher) fromArchive(ctx context.Context) error {
	for _, t := range p.plan.Targets {
		s := p.plan.settings[t.Host]
		push := s.PushOptions()
		options := &image.Options{Name: cmp.Or(s.Image, p.plan.source.Image), Platform: s.Platform, Compression: push.Compression}
		opened, closeSource, err := p.plan.source.Open(func() io.ReadCloser { return interruptible(ctx, p.Stdin) }, options)
		if err != nil {
			return err
		}
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
	done := p.waiting("the docker daemon at " + endpoint.Host)
	p.daemon, err = daemon.Connect(ctx, endpoint)
	done()
	if err != nil {
		return err
	}
	defer p.daemon.Close()
	if err := p.removeLeftovers(ctx); err != nil {
		p.plan.Notices = append(p.plan.Notices, fmt.Sprintf("a temporary name is left in the daemon: %v", err))
	}
	if p.plan.general.AllTags {
		return p.allTags(ctx)
	}
	done = p.waiting("the docker daemon at " + endpoint.Host)
	found, err := p.daemon.Image(ctx, p.plan.source.Name)
	done()
	if err != nil {
		return p.meantPath(err)
	}
	return p.daemonImage(ctx, found, p.plan.Targets)
}

// allTags pushes every image of a repository once, with all of its tags.
func (p *pusher) allTags(ctx context.Context) error {
	found, err := p.daemon.Tags(ctx, p.plan.source.Name)
	if err != nil {
		return err
	}
	for _, group := range groupTags(found) {
		var targets []target.Target
		for _, t := range p.plan.Targets {
			targets = append(targets, target.Target{Host: t.Host, Repository: t.Repository, Tags: group})
		}
		image, err := p.daemon.Listed(ctx, found[group[0]])
		if err != nil {
			return err
		}
		if err := p.daemonImage(ctx, image, targets); err != nil {
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
func (p *pusher) daemonImage(ctx context.Context, found daemon.Image, targets []target.Target) error {
	for _, t := range targets {
		if err := p.daemonImageTo(ctx, found, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *pusher) daemonImageTo(ctx context.Context, found daemon.Image, t target.Target) error {
	s := p.plan.settings[t.Host]
	if among := found.Choices(); s.Platform == "" && len(among) > 0 {
		return fmt.Errorf("%s is an index of which the daemon holds only a part; choose a platform (--platform) among: %s", found.Export, strings.Join(among, ", "))
	}
	push := s.PushOptions()
	push.Image = found.Export
	push.ImageID = digest.Digest(found.Pushed(s.Platform))
	push.Platform = s.Platform
	push.DiffIDs = diffIDs(found)
	push.Fetch = func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) { return p.fetch(ctx, found, t, d) }
	if p.ofIndex = ""; s.Platform == "" && push.ImageID.String() != found.ID {
		p.ofIndex = fmt.Sprintf("of the index %s the daemon holds one image alone, which is pushed without the others: %s", found.Export, push.ImageID)
	}
	if s.Via == options.ViaExport {
		return p.one(ctx, t, push)
	}
	push.Via = func(ctx context.Context, to registry.Loopback) error {
		client, err := p.client(ctx, t.Host, t.Repository) // the one that pushes
		if err == nil {
			err = p.throughDaemon(ctx, s, found, client, to)
		}
		p.viaErr = err
		return err
	}
	return p.one(ctx, t, push)
}

// meantPath adds to an unknown image that there is a file of its name.
func (p *pusher) meantPath(err error) error {
	name := p.plan.source.Name
	if _, missing := errors.AsType[*daemon.NotFoundError](err); missing {
		if _, statErr := os.Stat(name); statErr == nil {
			return fault.WithHint(err, fmt.Sprintf("there is a file of this name; to push it, write ./%s", filepath.ToSlash(name)))
		}
	}
	return err
}

// one pushes to one repository and prints the result.
func (p *pusher) one(ctx context.Context, t target.Target, options registry.PushOptions) error {
	o := print.Outcome{Target: t, Began: time.Now()}
	options.Result = &o.Result
	o.Linked, o.Err = p.perform(ctx, t, options)
	o.End = time.Now()
	p.begun = append(p.begun, o)
	if o.Err != nil || !p.words {
		return o.Err
	}
	return print.WriteResult(p.Stdout, o.Result, p.plan.general.Quiet)
}

// perform pushes to one repository and shows how that goes. linked is what came
// of linking the image.
func (p *pusher) perform(ctx context.Context, t target.Target, options registry.PushOptions) (linked print.Linked, err error) {
	var told []string
	p.notice = func(notice string) { told = append(told, notice) } // as the progress is shown
	client, err := p.client(ctx, t.Host, t.Repository)
	p.notice = nil
	if err != nil {
		return linked, err
	}
	display := p.display(t)
	defer display.Done()
	display.Event(registry.Event{Note: fmt.Sprintf("The push refers to repository [%s]", t.Familiar())})
	for _, notice := range append(slices.Concat(p.plan.Notices, told), p.ofIndex) {
		if notice != "" {
			display.Event(registry.Event{Note: notice})
		}
	}
	options.Tags = t.Tags[1:]
	options.Progress = display.Event
	if err := client.Push(ctx, t.Familiar()+":"+t.Tags[0], options); err != nil {
		return linked, fault.Push(err)
	}
	display.Done()
	if options.Result.DryRun {
		display.Event(registry.Event{Note: print.DryRunSummary(*options.Result)})
		return linked, nil
	}
	if options.Result.Unverified {
		display.Event(registry.Event{Note: print.Unverified})
	}
	return p.linkPushed(ctx, client, t, display), nil
}

func (p *pusher) display(t target.Target) progress.Display {
	return progress.New(p.plan.settings[t.Host].Mode(), progress.Screen{
		Writer:     p.Stderr,
		Console:    gate.Behind(p.Stderr),
		Terminal:   print.IsTerminal(p.Stderr) && p.Getenv("TERM") != "dumb",
		Color:      p.Getenv("NO_COLOR") == "",
		Repository: t.Familiar(),
	})
}

// client returns the client for a repository of host. Repositories with the same
// login share one.
func (p *pusher) client(ctx context.Context, host, repository string) (*remote.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, err := p.inquiry(host)
	if err != nil {
		return nil, err
	}
	scope := p.scope(i.Connection, host, repository)
	if client := p.clients[scope]; client != nil {
		return client, nil
	}
	s := p.plan.settings[host]
	save := func(ctx context.Context, name string) (io.ReadCloser, error) {
		if s.Via == options.ViaDaemon && p.viaErr != nil {
			return nil, fault.WithHint(fmt.Errorf("the daemon could not push: %w", p.viaErr), "--via export reads the image instead")
		}
		return p.daemon.Save(ctx, name, s.Platform)
	}
	client, err := p.newClient(ctx, host, repository, i, p.config, save)
	if err != nil {
		return nil, err
	}
	if p.clients == nil {
		p.clients = map[string]*remote.Client{}
	}
	p.clients[scope] = client
	return client, nil
}

// scope is the same for repositories with the same login. What is given with
// the command is for the whole registry, and standard input can be read only
// once.
func (p *pusher) scope(c options.Connection, host, repository string) string {
	if c.PasswordStdin {
		return host
	}
	place := dockerconfig.Place{Host: host, PlainHTTP: c.PlainHTTP, Repository: repository}
	if source := c.CredentialSource; source != nil && source.DockerConfig != "" {
		return host + " " + repository // of a file that is not read here
	}
	return p.config.Scope(place)
}
