package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	digest "github.com/opencontainers/go-digest"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// copyCall is one call of the command for several images.
type copyCall struct {
	copyOptions
	reports print.ReportOptions
	args    []string
}

// copied is a repository that is copied, and the repositories that it is copied to.
type copied struct {
	from    source.RegistryImage
	targets []target.Target
}

// copyAll copies many tags: it leaves alone those that are the same, copies the
// others, and compares in the end.
func (a *app) copyAll(ctx context.Context, flags *pflag.FlagSet, call copyCall) error {
	if _, err := path.Match(call.match, ""); err != nil {
		return fault.Usage(fmt.Errorf("--match %q: %w", call.match, err))
	}
	names, err := a.naming(ctx)
	if err != nil {
		return err
	}
	config, l, err := a.configured(flags)
	if err != nil {
		return err
	}
	l.Flags = without(flags, "all-tags") // that of push is about the daemon
	from, err := parseCopied(call.args[0], names)
	if err != nil {
		return err
	}
	plan, err := newPlan(l)
	if err != nil {
		return err
	}
	plan.many, plan.noReferrers, plan.allTags = true, call.noReferrers, call.match == ""
	p := &pusher{app: a, config: config, plan: plan}
	whole, notices := names.All(call.args[1:])
	if p.plan.notices = notices; from.Name == "" {
		if i := slices.IndexFunc(whole, func(name string) bool { return !strings.HasSuffix(name, "/") }); i >= 0 {
			return fault.Usage(fmt.Errorf("all images of an owner cannot be %s: a DESTINATION that ends in \"/\" is needed", whole[i]))
		}
	}
	if err := p.plan.prepareCopy(l, whole); err != nil {
		return err
	}
	if err := call.reports.Prepare(); err != nil {
		return err
	}
	ctx, cancel := bounded(ctx, p.plan.general.Timeout)
	defer cancel()
	repositories, err := p.copied(ctx, from, whole)
	if err != nil {
		return outOfTime(ctx, err)
	}
	return p.copyTags(ctx, repositories, call)
}

// prepareCopy finds the settings of the destinations, whose names may lack their
// last part yet.
func (p *pushPlan) prepareCopy(l options.Layers, whole []string) error {
	if len(p.general.Tags) > 0 {
		return fault.Usage(errors.New("--all-tags and --tag exclude each other"))
	}
	var named []string
	for _, name := range whole {
		if strings.HasSuffix(name, "/") {
			name += "image"
		}
		named = append(named, name)
	}
	d, err := target.ParseDestinations(named, nil, true)
	if err != nil {
		return err
	}
	p.jobs, p.written = []job{{source.Source{Kind: source.Registry}, d.Targets}}, named
	return p.resolve(l)
}

// copied lists the repositories to copy, each with where it goes.
func (p *pusher) copied(ctx context.Context, from target.Remote, whole []string) (all []copied, err error) {
	repositories := []string{strings.Trim(from.Repository(), "/")}
	if from.Name == "" {
		client, err := p.client(ctx, from.Host, from.Owner)
		if err != nil {
			return nil, err
		}
		found, err := findImages(ctx, client, from.Owner)
		if err != nil {
			return nil, fault.Push(fmt.Errorf("list the images of %s/%s: %w", from.Host, from.Owner, err))
		}
		if len(found) == 0 {
			return nil, fault.WithHint(fmt.Errorf("%s shows no image of %s", from.Host, from.Owner), "docker gitea ls "+from.Host)
		}
		repositories = nil
		for _, item := range found {
			repositories = append(repositories, item.Image)
		}
	}
	for _, repository := range repositories {
		own := strings.TrimPrefix(repository, from.Owner+"/")
		if from.Name != "" {
			own = path.Base(repository)
		}
		var named []string
		for _, name := range whole {
			if strings.HasSuffix(name, "/") {
				name += own
			}
			named = append(named, name)
		}
		d, err := target.ParseDestinations(named, nil, true)
		if err != nil {
			return nil, err
		}
		all = append(all, copied{source.RegistryImage{Host: from.Host, Repository: repository}, d.Targets})
	}
	return all, nil
}

// copyTags copies the tags that differ, and reports all.
func (p *pusher) copyTags(ctx context.Context, repositories []copied, call copyCall) error {
	same, err := p.differing(ctx, repositories, call.takes)
	if err != nil {
		return outOfTime(ctx, err)
	}
	if len(same) == 0 && len(p.plan.jobs) == 0 {
		if call.match == "" {
			return fault.Push(fmt.Errorf("there is no tag to copy from %s", call.args[0]))
		}
		p.tell(fmt.Sprintf("no tag matches %q", call.match))
	}
	e := p.run(ctx)
	if e.err == nil && !p.plan.general.DryRun {
		all := slices.Concat(e.begun...)
		for _, o := range same {
			all = append(all, o.Outcome)
		}
		e.err = p.compareCount(ctx, all)
	}
	var reports []v1alpha1.Push
	for _, o := range same {
		reports = append(reports, print.NewReport(o.source.String(), p.plan.settings[o.Host], o.Outcome))
	}
	reports = append(reports, p.plan.reports(e, time.Now())...)
	if call.reports.Format.IsText() {
		err = print.CopyTable(p.Stdout, reports, p.plan.general.Quiet)
	}
	return errors.Join(e.err, err, call.reports.Write(p.Stdout, reports, true))
}

// unchanged is a tag that is the same at its destination.
type unchanged struct {
	source source.Source
	print.Outcome
}

// candidates makes a job for each tag that is to be copied.
func (p *pusher) candidates(ctx context.Context, repositories []copied, takes func(tag string) bool) ([]job, error) {
	var jobs []job
	for _, c := range repositories {
		client, err := p.client(ctx, c.from.Host, c.from.Repository)
		if err != nil {
			return nil, err
		}
		tags, err := client.Tags(ctx, c.from.Repository)
		if err != nil {
			return nil, fault.Push(sourceFailure(source.RegistryImage{Host: c.from.Host, Repository: c.from.Repository}, err))
		}
		for _, tag := range tags {
			if !takes(tag) {
				continue
			}
			image := source.RegistryImage{Host: c.from.Host, Repository: c.from.Repository, Version: tag}
			src := source.Parse(source.RegistryPrefix+image.String(), nil)
			src.Remote = image
			j := job{source: src}
			for _, t := range c.targets {
				j.targets = append(j.targets, target.Target{Host: t.Host, Repository: t.Repository, Tags: []string{tag}})
			}
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// differing makes the plan's jobs for the tags that are not the same yet, and
// returns the tags that are.
func (p *pusher) differing(ctx context.Context, repositories []copied, takes func(tag string) bool) (same []unchanged, err error) {
	jobs, err := p.candidates(ctx, repositories, takes)
	if err != nil {
		return nil, err
	}
	present, err := p.presentTags(ctx, jobs)
	if err != nil {
		return nil, err
	}
	left, found := make([]job, len(jobs)), make([][]unchanged, len(jobs))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(registry.DefaultJobs)
	for i, j := range jobs {
		group.Go(func() error {
			for _, t := range j.targets {
				var outcome print.Outcome
				var is bool
				if present.may(t) {
					var err error
					if outcome, is, err = p.isSame(inner, j.source.Remote, t); err != nil {
						return err
					}
				}
				if is {
					found[i] = append(found[i], unchanged{j.source, outcome})
				} else {
					left[i] = job{j.source, append(left[i].targets, t)}
				}
			}
			return nil
		})
	}
	err = group.Wait()
	p.plan.jobs = slices.DeleteFunc(left, func(j job) bool { return len(j.targets) == 0 })
	return slices.Concat(found...), err
}

// presence has the tags of each destination, by host and repository.
type presence map[string][]string

func (p presence) may(t target.Target) bool {
	return slices.ContainsFunc(p[t.Familiar()], func(tag string) bool { return strings.EqualFold(tag, t.Tags[0]) })
}

// presentTags asks each destination once which tags it has. A tag that is not
// among them needs no request of its own.
func (p *pusher) presentTags(ctx context.Context, jobs []job) (presence, error) {
	found := presence{}
	for _, j := range jobs {
		for _, t := range j.targets {
			if _, asked := found[t.Familiar()]; asked {
				continue
			}
			client, err := p.client(ctx, t.Host, t.Repository)
			if err != nil {
				return nil, err
			}
			tags, err := client.Tags(ctx, t.Repository)
			if answer, ok := errors.AsType[*registry.Error](err); err != nil && (!ok || answer.Status != http.StatusNotFound) {
				return nil, fault.Push(fmt.Errorf("list the tags of %s: %w", t.Familiar(), err))
			}
			found[t.Familiar()] = tags
		}
	}
	return found, nil
}

// isSame compares a tag at a destination with what would arrive there. If the
// destination lacks the tag, isSame does not ask the source. With --verify more than
// the tag counts. With --include-foreign the foreign layers count, too, and no
// digest tells whether they are there.
func (p *pusher) isSame(ctx context.Context, from source.RegistryImage, t target.Target) (o print.Outcome, same bool, err error) {
	o = print.Outcome{Target: t, Began: time.Now()}
	s := p.plan.settings[t.Host]
	if s.Verify || s.IncludeForeign {
		return o, false, nil
	}
	there, err := p.digest(ctx, t.Host, t.Repository, t.Tags[0])
	if err != nil || there == "" {
		return o, false, err
	}
	want, subjects, err := p.arriving(ctx, from, t, s)
	o.Result = registry.Result{Reference: t.Familiar(), Tags: t.Tags, Digest: there, Unverified: true}
	o.End = time.Now()
	if err != nil && ctx.Err() == nil && !registry.Temporary(err) {
		return o, false, nil // the failure is of this image alone, and shows when that is copied
	}
	if err != nil || there != want || subjects == nil || p.plan.noReferrers || p.plan.general.DryRun {
		return o, there == want, err
	}
	return o, true, p.referrersOf(ctx, from, t, subjects)
}

// subjects are the manifests of an image to be copied that others may refer to. Without
// digests they are the image and all that it names, which was not read.
type subjects struct {
	image   digest.Digest
	digests []digest.Digest
}

// arriving is the digest of what would arrive of an image. If the options leave out or
// change a part of the image, it is not the digest of its tag. subjects is nil if the
// source has nothing that arrives.
func (p *pusher) arriving(ctx context.Context, from source.RegistryImage, t target.Target, s options.Settings) (digest.Digest, *subjects, error) {
	if s.Platform == "" && !s.NoAttestations && !s.ForceCompression {
		d, err := p.digest(ctx, from.Host, from.Repository, from.Version)
		return d, &subjects{image: d}, err
	}
	read, err := p.client(ctx, from.Host, from.Repository)
	if err != nil {
		return "", nil, err
	}
	to, err := p.client(ctx, t.Host, t.Repository)
	if err != nil {
		return "", nil, err
	}
	found, err := (&registryImage{p: p, from: from, client: read}).open(ctx, s)
	if err != nil {
		return "", nil, err
	}
	d := to.Becomes(found.source, s.PushOptions().Compression)
	if digests := found.source.Manifests(); len(digests) > 0 {
		return d, &subjects{digests: digests}, found.close()
	}
	return d, nil, found.close()
}

// referrersOf copies what refers to an image that is the same. If all tags are
// copied, those that name what refers to an image are among them.
func (p *pusher) referrersOf(ctx context.Context, from source.RegistryImage, t target.Target, of *subjects) error {
	to, err := p.client(ctx, t.Host, t.Repository)
	if err != nil {
		return err
	}
	read, err := p.client(ctx, from.Host, from.Repository)
	if err != nil {
		return err
	}
	member := remote.Member{Client: read, Repository: from.Repository, Reference: of.image.String()}
	_, err = to.CopyReferrers(ctx, t.Repository, member, of.digests, p.plan.referrers())
	if err != nil {
		return clobbers(fault.Push(err))
	}
	return nil
}

// digest is that of a tag, or empty where there is none.
func (p *pusher) digest(ctx context.Context, host, repository, tag string) (digest.Digest, error) {
	client, err := p.client(ctx, host, repository)
	if err != nil {
		return "", err
	}
	d, err := client.ManifestDigest(ctx, repository, tag)
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrRepositoryUnknown) {
		return "", nil
	}
	if err != nil {
		return "", fault.Push(fmt.Errorf("%s/%s:%s: %w", host, repository, tag, err))
	}
	return d, nil
}

// compareCount compares what the destinations have in the end with what they were
// to get: a registry that answers well may have lost some all the same, or have
// stored two tags as one.
func (p *pusher) compareCount(ctx context.Context, copied []print.Outcome) error {
	wanted := map[string][]print.Outcome{}
	for _, o := range copied {
		wanted[o.Familiar()] = append(wanted[o.Familiar()], o)
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		t := wanted[name][0].Target
		client, err := p.client(ctx, t.Host, t.Repository)
		if err != nil {
			return err
		}
		left, err := client.Tags(ctx, t.Repository)
		if err != nil {
			return fault.Push(fmt.Errorf("count the tags of %s: %w", name, err))
		}
		var missing []string
		for _, o := range wanted[name] {
			i := slices.Index(left, o.Result.Tags[0])
			if i < 0 { // one that was there already may be stored in lower case
				i = slices.Index(left, strings.ToLower(o.Result.Tags[0]))
			}
			if i < 0 {
				missing = append(missing, o.Tags[0])
				continue
			}
			left = slices.Delete(left, i, i+1) // it stands for no other
		}
		if len(missing) > 0 {
			return fault.Push(fmt.Errorf("%s has %d of the %d tags: it lacks %s", name, len(wanted[name])-len(missing), len(wanted[name]), strings.Join(missing, ", ")))
		}
		if !p.plan.general.Quiet {
			_, _ = fmt.Fprintf(p.Stderr, "%s: %d of %d tags are there\n", name, len(wanted[name]), len(wanted[name]))
		}
	}
	return nil
}
