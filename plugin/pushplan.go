package plugin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/options"
	"github.com/docker-gitea/docker-gitea/plugin/source"
	"github.com/docker-gitea/docker-gitea/plugin/target"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/certs"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// pushPlan is what a push command amounts to, before any I/O on the network.
type pushPlan struct {
	layers options.Layers
	// general are the settings for no registry in particular, settings those
	// for each one, by host.
	general  options.Settings
	settings map[string]options.Settings
	// jobs are what is to be pushed, in the order of the command line.
	jobs []job
	// many: each job is for itself, beside the others.
	many bool
	// noReferrers leaves out what refers to an image of a registry, allTags copies
	// the tags of that as it copies others.
	noReferrers, allTags bool
	// notices are what the user should know about how the names were understood.
	notices []string
	// written are the destinations as they were given.
	written []string
}

// job is a SOURCE and where it goes.
type job struct {
	source source.Source
	// targets has at least one element.
	targets []target.Target
}

// referrers says how what refers to an image is copied.
func (p pushPlan) referrers() remote.ReferrersOptions {
	return remote.ReferrersOptions{ByTag: !p.allTags, NoClobber: p.general.NoClobber, Verify: p.general.Verify}
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

// projects are the images of a compose file or of bake, where one is given, as
// arguments.
func (p *pushPlan) projects(args []string, getenv func(string) string) (images []string, err error) {
	s := &p.general
	if s.Compose == "" && s.Bake == "" {
		return args, nil
	}
	if len(args) > 0 || len(s.To) == 0 || s.Compose != "" && s.Bake != "" {
		return nil, fault.Usage(errors.New("--compose and --bake go with --to alone: they say what the images are"))
	}
	if s.Compose != "" {
		images, err = source.Compose(s.Compose, s.AllImages, getenv)
		s.AllImages = false // of files, which are none of these
	} else {
		images, err = source.Bake(s.Bake)
	}
	for i := range images {
		images[i] = source.DaemonPrefix + images[i]
	}
	return images, err
}

// words divides the arguments into sources and destinations. With --to, every
// argument is a SOURCE.
func words(args, to []string) (sources, destinations []string) {
	if len(to) > 0 {
		return args, to
	}
	return args[:1], args[1:]
}

// newPlan has the general settings alone.
func newPlan(l options.Layers) (pushPlan, error) {
	plan := pushPlan{layers: l, settings: map[string]options.Settings{}}
	general := l
	general.Getenv = options.WithoutTrust(l.Getenv)
	_, err := general.Resolve(&plan.general, "")
	return plan, err
}

// planPush checks everything that can be checked from the command line, the
// configuration, and the names in files.
func planPush(l options.Layers, args []string, n target.Naming, isLayout func(string) bool) (pushPlan, error) {
	plan, err := newPlan(l)
	if err != nil {
		return plan, err
	}
	if err := target.CheckTags(plan.general.Tags); err != nil {
		return plan, err
	}
	if args, err = plan.projects(args, l.Getenv); err != nil {
		return plan, err
	}
	args, destinations := words(args, plan.general.To)
	plan.many = len(args) > 1 || plan.general.AllImages
	for _, arg := range args {
		if err := plan.add(arg, destinations, n, isLayout); err != nil {
			return plan, err
		}
	}
	if err := errors.Join(plan.checkStdin(), plan.checkAlike()); err != nil {
		return plan, err
	}
	return plan, plan.resolve(l)
}

// add plans the pushes of a SOURCE.
func (p *pushPlan) add(arg string, destinations []string, n target.Naming, isLayout func(string) bool) error {
	src := source.Parse(arg, isLayout)
	if src.Kind == source.Registry {
		var err error
		if src.Remote, err = source.ParseRegistryImage(src.Name); err != nil {
			return err
		}
	}
	if err := checkSource(p.general, src); err != nil {
		return err
	}
	if src.Kind == source.Daemon {
		if err := daemon.CheckName(src.Name); err != nil {
			return fault.Usage(err)
		}
	}
	images := []source.Source{src}
	if p.general.AllImages {
		var err error
		if images, err = src.Each(); err != nil {
			return err
		}
	}
	for _, each := range images {
		if err := p.addImage(each, destinations, n); err != nil {
			return err
		}
	}
	return nil
}

// addImage plans the push of one image.
func (p *pushPlan) addImage(src source.Source, destinations []string, n target.Naming) error {
	if len(destinations) == 0 {
		name, err := src.Destination()
		if err != nil {
			return err
		}
		destinations = []string{name}
	}
	whole, notices := n.All(destinations)
	whole, err := p.named(src, whole)
	if err != nil {
		return err
	}
	d, err := target.ParseDestinations(whole, p.general.Tags, p.general.AllTags)
	if err != nil {
		return err
	}
	for _, notice := range append(notices, d.Notices...) {
		if !slices.Contains(p.notices, notice) {
			p.notices = append(p.notices, notice)
		}
	}
	p.jobs = append(p.jobs, job{src, d.Targets})
	p.written = append(p.written, whole...)
	return nil
}

// named gives destinations that end in "/" the own name of the image.
func (p *pushPlan) named(src source.Source, destinations []string) (whole []string, err error) {
	for _, name := range destinations {
		switch {
		case !strings.HasSuffix(name, "/") && p.many:
			return nil, fault.Usage(fault.WithHint(fmt.Errorf("several images cannot all be %s", name), `give a DESTINATION that ends in "/", below which each keeps its name: --to HOST/OWNER/`))
		case !strings.HasSuffix(name, "/"):
			whole = append(whole, name)
			continue
		}
		names, err := src.OwnNames(p.general.Image)
		if err != nil {
			return nil, err
		}
		for _, own := range names {
			if p.general.AllTags {
				own, _, _ = strings.Cut(own, ":")
			}
			whole = append(whole, name+own)
		}
	}
	return whole, nil
}

// checkStdin refuses to read standard input twice.
func (p *pushPlan) checkStdin() error {
	reads := 0
	for _, j := range p.jobs {
		if j.source.Kind == source.Stdin {
			reads += len(j.targets)
		}
	}
	if reads > 1 {
		return fault.Usage(fault.WithHint(errors.New("standard input can be read only once, and the destinations are several repositories"),
			"write it to a file first, and push that"))
	}
	return nil
}

// checkAlike refuses two images under one name.
func (p *pushPlan) checkAlike() error {
	taken := map[string]source.Source{}
	for _, j := range p.jobs {
		for _, name := range j.names() {
			if other, is := taken[name]; is {
				return fault.Usage(fault.WithHint(fmt.Errorf("%s and %s would both be pushed as %s", other, j.source, name), "push one of them by itself, to another DESTINATION"))
			}
			taken[name] = j.source
		}
	}
	return nil
}

// names are all that is set by a job: tags, or a repository where the daemon says
// which tags there are.
func (j job) names() (all []string) {
	for _, t := range j.targets {
		if len(t.Tags) == 0 {
			all = append(all, t.Familiar())
		}
		for _, tag := range t.Tags {
			all = append(all, t.Familiar()+":"+tag)
		}
	}
	return all
}

// targets are those of all jobs.
func (p *pushPlan) targets() (all []target.Target) {
	for _, j := range p.jobs {
		all = append(all, j.targets...)
	}
	return all
}

// resolve gives each registry its settings, and checks them.
func (p *pushPlan) resolve(l options.Layers) error {
	for _, t := range p.targets() {
		l.Named = append(l.Named, t.Host)
	}
	for _, j := range p.jobs {
		for _, t := range j.targets {
			var s options.Settings
			if _, err := l.Resolve(&s, t.Host); err != nil {
				return err
			}
			if err := errors.Join(checkSource(s, j.source), checkLink(t.Remote(), s.Link)); err != nil {
				return err
			}
			p.settings[t.Host] = s
		}
	}
	return errors.Join(p.checkPorts(), p.checkHosts())
}

// checkSource refuses options that do not go with the source.
func checkSource(s options.Settings, src source.Source) error {
	var wrong string
	switch {
	case s.AllTags && src.Kind != source.Daemon:
		wrong = "--all-tags is for images of the docker daemon"
	case s.AllTags && target.HasTag(src.Name):
		wrong = "--all-tags wants a SOURCE without a tag"
	case s.AllImages && s.Compose == "" && src.Kind != source.Path:
		wrong = "--all-images is for files and directories"
	case s.AllImages && (s.Image != "" || src.Image != "" && !src.IsOfFile()):
		wrong = "--all-images and the name of one image exclude each other"
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
func (p *pushPlan) checkPorts() error {
	for _, name := range p.written {
		host, _, _ := strings.Cut(name, "/")
		if bare, given := strings.CutSuffix(host, ":443"); given && p.settings[strings.ToLower(bare)].PlainHTTP {
			return target.RefusePort443(bare)
		}
	}
	return nil
}

// checkHosts keeps one credential from going to several registries.
func (p *pushPlan) checkHosts() error {
	all := p.targets()
	for _, t := range all {
		if (p.general.PasswordStdin || p.general.Username != "") && t.Host != all[0].Host {
			return fault.Usage(errors.New("--username and --password-stdin are for one registry, and the destinations are on several"))
		}
	}
	return nil
}
