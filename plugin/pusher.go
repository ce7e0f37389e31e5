package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

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
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// pusher is one run of the push command.
type pusher struct {
	*app
	plan   pushPlan
	config *dockerconfig.Config
	// words: the result of each push is printed in words.
	words  bool
	daemon *daemon.Client
	// connected makes daemon, once for all images of it.
	connected sync.Once
	daemonErr error
	// unreached: the daemon was found not to reach a port of this machine.
	unreached atomic.Bool

	// mu guards the fields below.
	mu sync.Mutex
	// clients are those built so far, by the login that they use.
	clients map[string]*remote.Client
	// rates are what the clients with the same limit share.
	rates map[int64]*remote.Rate
	// viaErrs are why the daemon could not push by itself, by the image's name.
	viaErrs map[string]error
}

// origin is a SOURCE that was found, of whatever kind: what the registry's client
// needs to push it, as often as there are targets.
type origin interface {
	// order is what to push to a target.
	order(ctx context.Context, t target.Target) (order, error)
	// layers names what other images may have as well, the same in all of them;
	// nil where that shows only when the image is read.
	layers(ctx context.Context) ([]string, error)
	// drop closes what layers left open for an order that was not asked for.
	drop() error
}

// order is one push to be made.
type order struct {
	registry.PushOptions
	// notice is what the user should know of the image; mostly empty.
	notice string
	// follow copies what refers to the image, once that is there, and reports how
	// many manifests that were; nil where there is nothing to ask.
	follow func(ctx context.Context, to *remote.Client) (int, error)
	// done is called after the push.
	done func() error
}

// piece is an image that was found for a job, and where it goes.
type piece struct {
	origin  origin
	targets []target.Target
}

// ending is how a run ended: err is what the command says, begun and errs are of
// each job.
type ending struct {
	err   error
	begun [][]print.Outcome
	errs  []error
}

// run makes all pushes of the plan.
func (p *pusher) run(ctx context.Context) ending {
	defer func() {
		if p.daemon != nil {
			p.daemon.Close()
		}
	}()
	var e ending
	if p.plan.many {
		e = p.all(ctx)
	} else {
		begun, err := p.job(ctx, p.plan.jobs[0])
		e = ending{err: err, begun: [][]print.Outcome{begun}, errs: []error{err}}
	}
	if e.err == nil {
		e.err = storedAsOne(e.begun)
	}
	return e
}

// job pushes what a SOURCE is, one target after another, and stops at the first
// that fails.
func (p *pusher) job(ctx context.Context, j job) ([]print.Outcome, error) {
	pieces, err := p.find(ctx, j)
	if err != nil {
		return nil, outOfTime(ctx, err)
	}
	begun, err := p.pieces(ctx, pieces)
	return begun, outOfTime(ctx, err)
}

// outOfTime is err, or that the time of the command is over. An error that says so
// itself says in what.
func outOfTime(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case ctx.Err() == nil || !errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, cause):
		return fault.Push(err)
	}
	return fault.Push(cause)
}

// find looks for what a SOURCE names.
func (p *pusher) find(ctx context.Context, j job) ([]piece, error) {
	switch j.source.Kind {
	case source.Daemon:
		return p.inDaemon(ctx, j)
	case source.Registry:
		client, err := p.client(ctx, j.source.Remote.Host, j.source.Remote.Repository)
		return []piece{{&registryImage{p: p, from: j.source.Remote, client: client}, j.targets}}, err
	case source.Path, source.Stdin:
	}
	return []piece{{&fileImage{p: p, source: j.source}, j.targets}}, nil
}

func (p *pusher) pieces(ctx context.Context, pieces []piece) (begun []print.Outcome, err error) {
	for _, piece := range pieces {
		for _, t := range piece.targets {
			o, err := piece.origin.order(ctx, t)
			if err != nil {
				return begun, err
			}
			outcome, err := p.one(ctx, t, o)
			begun = append(begun, outcome)
			if err = errors.Join(err, o.done()); err != nil {
				return begun, err
			}
		}
	}
	return begun, nil
}

// one pushes to one repository and prints the result.
func (p *pusher) one(ctx context.Context, t target.Target, ordered order) (print.Outcome, error) {
	o := print.Outcome{Target: t, Began: time.Now()}
	ordered.Result = &o.Result
	o.Linked, o.Err = p.perform(ctx, t, ordered)
	o.End = time.Now()
	if o.Err != nil || !p.words {
		return o, o.Err
	}
	return o, print.WriteResult(p.Stdout, o.Result, print.Style{Quiet: p.plan.general.Quiet, Full: p.plan.many})
}

// perform pushes to one repository and shows how that goes. linked is what came
// of linking the image.
func (p *pusher) perform(ctx context.Context, t target.Target, ordered order) (linked print.Linked, err error) {
	client, told, err := p.toldClient(ctx, t.Host, t.Repository)
	if err != nil {
		return linked, err
	}
	display := p.display(t)
	defer display.Done()
	if !p.plan.many {
		told = append(append([]string{fmt.Sprintf("The push refers to repository [%s]", t.Familiar())}, p.plan.notices...), told...)
	}
	for _, notice := range append(told, ordered.notice) {
		if notice != "" {
			display.Event(registry.Event{Note: notice})
		}
	}
	ordered.Tags = t.Tags[1:]
	ordered.Progress = display.Event
	if p.plan.settings[t.Host].Via == options.ViaAuto {
		ordered.Via = p.tellingWhy(ordered.Via, display.Event)
	}
	if err := client.Push(ctx, t.Familiar()+":"+t.Tags[0], ordered.PushOptions); err != nil {
		return linked, clobbers(fault.Push(err))
	}
	display.Done()
	if ordered.Result.DryRun {
		display.Event(registry.Event{Note: print.DryRunSummary(*ordered.Result)})
		return linked, nil
	}
	if ordered.follow != nil {
		n, err := ordered.follow(ctx, client)
		if err != nil {
			return linked, clobbers(fault.Push(err))
		}
		if n > 0 {
			display.Event(registry.Event{Note: fmt.Sprintf("copied what refers to the image (signatures, SBOMs): %d manifests", n)})
		}
	}
	if ordered.Result.Unverified && !p.plan.many {
		display.Event(registry.Event{Note: print.Unverified})
	}
	return p.linkPushed(ctx, client, t, display), nil
}

// clobbers adds to the failure of a push that was to move no tag what would move it.
func clobbers(err error) error {
	if errors.Is(err, registry.ErrTagExists) {
		return fault.WithHint(err, "choose another tag, or leave out --no-clobber to move this one")
	}
	return err
}

func (p *pusher) display(t target.Target) progress.Display {
	screen := progress.Screen{
		Writer:     p.Stderr,
		Console:    gate.Behind(p.Stderr),
		Terminal:   print.IsTerminal(p.Stderr) && p.Getenv("TERM") != "dumb",
		Color:      p.Getenv("NO_COLOR") == "",
		Repository: t.Familiar(),
	}
	if p.plan.many {
		return progress.NewBrief(p.plan.settings[t.Host].Mode(), screen)
	}
	return progress.New(p.plan.settings[t.Host].Mode(), screen)
}

// client returns the client for a repository of host. Repositories with the same
// login share one.
func (p *pusher) client(ctx context.Context, host, repository string) (*remote.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.findClient(ctx, host, repository)
}

// toldClient is client, with what the user should know of the credential, which is
// said as the progress is shown.
func (p *pusher) toldClient(ctx context.Context, host, repository string) (client *remote.Client, told []string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notice = func(notice string) { told = append(told, notice) }
	client, err = p.findClient(ctx, host, repository)
	p.notice = nil
	return client, told, err
}

// findClient is called with mu held.
func (p *pusher) findClient(ctx context.Context, host, repository string) (*remote.Client, error) {
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
		if err := p.viaErr(name); s.Via == options.ViaDaemon && err != nil {
			return nil, fault.WithHint(fmt.Errorf("the daemon could not push: %w", err), "--via export reads the image instead")
		}
		return p.daemon.Save(ctx, name, s.Platform)
	}
	client, err := p.newClient(ctx, host, repository, i, p.config, sends{save, p.rate(int64(s.LimitRate))})
	if err != nil {
		return nil, err
	}
	if p.clients == nil {
		p.clients = map[string]*remote.Client{}
	}
	p.clients[scope] = client
	return client, nil
}

// rate is the one of the registries with this limit, which all send over one line.
// It is called with mu held.
func (p *pusher) rate(bytesPerSecond int64) *remote.Rate {
	if p.rates == nil {
		p.rates = map[int64]*remote.Rate{}
	}
	if p.rates[bytesPerSecond] == nil {
		p.rates[bytesPerSecond] = remote.NewRate(bytesPerSecond)
	}
	return p.rates[bytesPerSecond]
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

// inquiry are the options for host. The command line and the variables that carry
// or weaken trust are about registries that are pushed to; others are read from
// with what the configuration file says, and the rest of the environment.
func (p *pusher) inquiry(host string) (options.Inquiry, error) {
	if s, planned := p.plan.settings[host]; planned {
		return s.Inquiry, nil
	}
	l := p.plan.layers
	l.Flags, l.Getenv = pflag.NewFlagSet("", pflag.ContinueOnError), options.WithoutTrust(l.Getenv)
	var i options.Inquiry
	_, err := l.Resolve(&i, host)
	return i, err
}
