package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
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
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// copyOptions choose what is copied of a whole repository, or of an owner.
type copyOptions struct {
	allTags     bool
	match       string
	noReferrers bool
}

func (o *copyOptions) register(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.allTags, "all-tags", "a", false, "Copy all tags of the image")
	flags.StringVar(&o.match, "match", "", `Of all tags, copy those that match, such as "1.*"`)
	flags.BoolVar(&o.noReferrers, "no-referrers", false, "Of all tags, leave out sha256-…: signatures and what else refers to an image")
}

// wanted reports that more than one image is to be copied.
func (o *copyOptions) wanted(from string) bool { return o.allTags || strings.HasSuffix(from, "/") }

// check refuses what goes with several tags alone.
func (o *copyOptions) check() error {
	if o.match != "" || o.noReferrers {
		return fault.Usage(errors.New("--match and --no-referrers go with --all-tags, or with all images of an owner"))
	}
	return nil
}

// referrersTag is the tag of what refers to an image (OCI distribution
// specification, "Referrers Tag Schema"), and of what cosign signs it with.
var referrersTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\..*)?$`)

// takes reports a tag that is to be copied.
func (o *copyOptions) takes(tag string) bool {
	matched, err := path.Match(o.match, tag)
	return (o.match == "" || err == nil && matched) && (!o.noReferrers || !referrersTag.MatchString(tag))
}

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
	plan.many = true
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

// parseCopied reads HOST/OWNER/ or an image without a tag.
func parseCopied(arg string, n target.Naming) (target.Remote, error) {
	arg = strings.TrimPrefix(arg, source.RegistryPrefix)
	if strings.HasSuffix(arg, "/") {
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
			return nil, fault.Push(sourceFailure(source.RegistryImage{Host: c.from.Host, Repository: c.from.Repository, Version: "*"}, err))
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
	var mu sync.Mutex // guards same and left
	left := make([]job, len(jobs))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(registry.DefaultJobs)
	for i, j := range jobs {
		group.Go(func() error {
			for _, t := range j.targets {
				outcome, is, err := p.isSame(inner, j.source.Remote, t)
				if err != nil {
					return err
				}
				mu.Lock()
				if is {
					same = append(same, unchanged{j.source, outcome})
				} else {
					left[i] = job{j.source, append(left[i].targets, t)}
				}
				mu.Unlock()
			}
			return nil
		})
	}
	err = group.Wait()
	p.plan.jobs = slices.DeleteFunc(left, func(j job) bool { return len(j.targets) == 0 })
	return same, err
}

// isSame compares a tag at a destination with where it comes from. Of a tag that
// there is not, its source is not asked.
func (p *pusher) isSame(ctx context.Context, from source.RegistryImage, t target.Target) (o print.Outcome, same bool, err error) {
	o = print.Outcome{Target: t, Began: time.Now()}
	there, err := p.digest(ctx, t.Host, t.Repository, t.Tags[0])
	if err != nil || there == "" {
		return o, false, err
	}
	want, err := p.digest(ctx, from.Host, from.Repository, from.Version)
	o.Result = registry.Result{Reference: t.Familiar(), Tags: t.Tags, Digest: there, Unverified: true}
	o.End = time.Now()
	return o, there == want, err
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
