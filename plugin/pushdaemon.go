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
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
)

// daemonImage is an image of the docker daemon as an [origin].
type daemonImage struct {
	p     *pusher
	found daemon.Image
}

// inDaemon finds what a job names in the daemon: one image, or with --all-tags
// every image of a repository, each with all of its tags.
func (p *pusher) inDaemon(ctx context.Context, j job) ([]piece, error) {
	p.connected.Do(func() { p.daemonErr = p.connectDaemon(ctx) })
	if p.daemonErr != nil {
		return nil, p.daemonErr
	}
	if p.plan.general.AllTags {
		return p.allTags(ctx, j)
	}
	done := p.waiting("the docker daemon")
	found, err := p.daemon.Image(ctx, j.source.Name)
	done()
	if err != nil {
		return nil, unanswered(ctx, "the docker daemon", meantPath(j.source.Name, err))
	}
	return []piece{{daemonImage{p, found}, j.targets}}, nil
}

// connectDaemon connects to the daemon.
func (p *pusher) connectDaemon(ctx context.Context) error {
	endpoint, err := daemon.Resolve(p.globals.daemon, p.config, p.Getenv)
	if err != nil {
		return err
	}
	what := "the docker daemon at " + endpoint.Host
	done := p.waiting(what)
	p.daemon, err = daemon.Connect(ctx, endpoint)
	done()
	if err != nil {
		return unanswered(ctx, what, err)
	}
	if err := p.removeLeftovers(ctx); err != nil {
		p.plan.notices = append(p.plan.notices, fmt.Sprintf("a temporary name is left in the daemon: %v", err))
	}
	return nil
}

func (p *pusher) allTags(ctx context.Context, j job) (pieces []piece, err error) {
	found, err := p.daemon.Tags(ctx, j.source.Name)
	if err != nil {
		return nil, err
	}
	for _, group := range groupTags(found) {
		var targets []target.Target
		for _, t := range j.targets {
			targets = append(targets, target.Target{Host: t.Host, Repository: t.Repository, Tags: group})
		}
		image, err := p.daemon.Listed(ctx, found[group[0]])
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{daemonImage{p, image}, targets})
	}
	return pieces, nil
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

// order lets the registry's client ask for the image's bytes, which it does only
// when the registry lacks some.
func (d daemonImage) order(ctx context.Context, t target.Target) (order, error) {
	p, found := d.p, d.found
	s := p.plan.settings[t.Host]
	if among := found.Choices(); s.Platform == "" && len(among) > 0 {
		return order{}, fmt.Errorf("%s is an index, and the daemon holds only a part of it; choose a platform (--platform) among: %s", found.Export, strings.Join(among, ", "))
	}
	o := order{PushOptions: s.PushOptions(), done: func() error { return nil }}
	if err := p.asStored(ctx, &o.PushOptions); err != nil {
		return order{}, err
	}
	if s.Via == options.ViaDaemon && (o.ForceCompression || o.NoAttestations) {
		return order{}, fault.Usage(errors.New("the daemon pushes an image as it is: --via daemon goes with neither --force-compression nor --no-attestations"))
	}
	o.Image = found.Export
	o.ImageID = digest.Digest(found.Pushed(s.Platform))
	o.Platform = s.Platform
	o.DiffIDs = diffIDs(found)
	o.Fetch = func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) { return p.fetch(ctx, found, t, d) }
	if s.Platform == "" && o.ImageID.String() != found.ID {
		o.notice = fmt.Sprintf("of the index %s the daemon holds one image alone, which is pushed without the others: %s", found.Export, o.ImageID)
	}
	if s.Via == options.ViaExport {
		return o, nil
	}
	o.Via = func(ctx context.Context, to registry.Loopback) error {
		client, err := p.client(ctx, t.Host, t.Repository) // the one that pushes
		if err == nil {
			err = p.throughDaemon(ctx, s, found, client, to)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.viaErrs == nil {
			p.viaErrs = map[string]error{}
		}
		p.viaErrs[found.Export] = err
		return err
	}
	return o, nil
}

// asStored leaves out of the options what changes nothing of an image of the classic
// store: that has no attestations, and its layers are not compressed.
func (p *pusher) asStored(ctx context.Context, o *registry.PushOptions) error {
	if !o.ForceCompression && !o.NoAttestations {
		return nil
	}
	info, err := p.daemon.Info(ctx)
	if err == nil && !info.Containerd() {
		o.ForceCompression, o.NoAttestations = false, false
	}
	return err
}

// viaErr is why the daemon could not push the image of that name by itself.
func (p *pusher) viaErr(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.viaErrs[name]
}

func (d daemonImage) layers(context.Context) ([]string, error) { return d.found.RootFS.Layers, nil }

func (d daemonImage) drop() error { return nil }

// meantPath adds to an unknown image that there is a file of its name.
func meantPath(name string, err error) error {
	if _, missing := errors.AsType[*daemon.NotFoundError](err); missing {
		if _, statErr := os.Stat(name); statErr == nil {
			return fault.WithHint(err, fmt.Sprintf("there is a file of this name; to push it, write ./%s", filepath.ToSlash(name)))
		}
	}
	return err
}

// fetch opens a layer that the daemon does not hold, at one of the registries
// that the image came from. The target has been asked already.
func (p *pusher) fetch(ctx context.Context, found daemon.Image, to target.Target, d digest.Digest) (io.ReadCloser, error) {
	var errs []error
	for _, origin := range found.Origins() {
		if origin.Host == to.Host && origin.Repository == to.Repository {
			continue
		}
		blob, err := p.openBlob(ctx, origin, d)
		if err == nil {
			return blob, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, errors.New("the daemon knows no other registry that the image could be in")
	}
	return nil, errors.Join(errs...)
}

func (p *pusher) openBlob(ctx context.Context, from daemon.Origin, d digest.Digest) (io.ReadCloser, error) {
	client, err := p.client(ctx, from.Host, from.Repository)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", from.Host, from.Repository, err)
	}
	return client.Blob(ctx, from.Repository, d)
}
