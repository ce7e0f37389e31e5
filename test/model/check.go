package model

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// performance is one call of the plugin: the pushes that were asked for, and those of
// single images that they amount to.
type performance struct {
	asked, pushes []*push
	expected      []expectation
	ended         ended
	// alike: two images would get one name, which is refused. folded: the registry
	// keeps two names as one.
	alike, folded bool
}

// perform has calls happen side by side, and checks what came of each. No two have a
// tag in common.
func perform(w *world, calls ...[]*push) error {
	var all []*performance
	for _, asked := range calls {
		all = append(all, prepare(w, asked))
		w.calls = append(w.calls, asked)
	}
	before := w.snapshots()
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() { c.run(w) })
	}
	running.Wait()
	for _, c := range all {
		if c.asked[0].trouble.kind != untroubled {
			for _, h := range w.hosts {
				if err := h.settle(); err != nil {
					return err
				}
			}
		}
	}
	changed := differences(before, w.snapshots())
	for name, change := range changed {
		if !slices.ContainsFunc(all, func(c *performance) bool { return c.mayChange(w, name, change) }) {
			return fmt.Errorf("a tag of nobody's changed: %s is %s", name, change)
		}
	}
	for _, c := range all {
		if err := c.check(w, changed); err != nil {
			return fmt.Errorf("%w\nexit code %d, printed\n%s%s", err, c.ended.code, c.ended.stdout, c.ended.stderr)
		}
	}
	return nil
}

// prepare says what has to come of a call.
func prepare(w *world, asked []*push) *performance {
	c := &performance{asked: asked}
	names, stored := map[string]bool{}, map[string]bool{}
	broken := false
	for _, one := range asked {
		c.pushes = append(c.pushes, one.parts(w)...)
	}
	for _, p := range c.pushes {
		if len(asked) > 1 && p.source.kind == fromRegistry {
			p.repo, p.tags = p.source.remotes[0].repo, []string{p.source.remotes[0].version}
		}
		h := w.hosts[p.host]
		for _, tag := range p.tags {
			name, kept := target(p.host, h.repositories[p.repo], tag), target(p.host, h.repositories[p.repo], h.stored(tag))
			c.alike = c.alike || len(asked) > 1 && names[name]
			c.folded = c.folded || len(c.pushes) > 1 && stored[kept]
			names[name], stored[kept] = true, true
			broken = broken || stands(h, h.repositories[p.repo], tag) && h.parts(h.repositories[p.repo], h.stored(tag)).broken
		}
	}
	for _, p := range slices.Concat(asked, c.pushes) {
		if broken && p.source.via != viaTag && p.source.via != viaJoin {
			p.verify = true // and is shown so
		}
	}
	for _, p := range c.pushes {
		e := p.expected(w)
		if c.alike {
			e = expectation{}
		}
		c.expected = append(c.expected, e)
	}
	if c.folded { // any of the images may be the one
		var union expectation
		for _, e := range c.expected {
			union.add(e)
		}
		union.mayFail = true
		for i := range c.expected {
			c.expected[i] = union
		}
	}
	return c
}

// expected is what has to come of a push of one image.
func (p *push) expected(w *world) expectation {
	h := w.hosts[p.host]
	repository := h.repositories[p.repo]
	e := p.source.expected(w, p.asked)
	if len(e.wants) == 0 && p.source.via == viaAllTags && !p.verify { // what is the same is not read
		e = p.unread(w)
	}
	// What is there already stays as it is, unless it is looked at.
	e.along = slices.DeleteFunc(e.along, func(a along) bool {
		data, _, there := h.manifest(repository, cmp.Or(a.tag, a.digest))
		return there && newBlob(data).digest == a.digest && !p.verify
	})
	e.mayFail = e.mayFail || p.trouble.kind != untroubled
	if !p.noClobber {
		return e
	}
	for _, a := range e.along {
		e.mayFail = e.mayFail || a.tag != "" && stands(h, repository, a.tag)
	}
	for _, tag := range p.tags {
		data, _, there := h.manifest(repository, h.stored(tag))
		same := there && len(e.wants) == 1 && e.wants[0].String() == newBlob(data).digest
		e.mayFail = e.mayFail || there && !same
	}
	return e
}

// unread is what a tag has that is said to be the same as in its source, which is not
// whole any more.
func (p *push) unread(w *world) expectation {
	from := p.source.remotes[0]
	here, there := w.hosts[p.host], w.hosts[from.host]
	data, mediaType, found := there.manifest(there.repositories[from.repo], from.version)
	if present, _, stands := here.manifest(here.repositories[p.repo], here.stored(p.tags[0])); !found || !stands || !bytes.Equal(data, present) {
		return expectation{}
	}
	root := &document{blob: newBlob(data), mediaType: mediaType}
	return expectation{wants: []want{kept{document: root, alone: true}}, mayFail: true}
}

func stands(h *host, repository, tag string) bool {
	_, _, found := h.manifest(repository, h.stored(tag))
	return found
}

// run makes the call. Each push has ended as its own report says, where there is one.
func (c *performance) run(w *world) {
	c.ended = invoke(w, c.asked)
	reports := c.ended.reports()
	for i, p := range c.pushes {
		p.ended = c.ended
		report, found := reports[p.repository(w)+":"+p.tags[0]]
		p.ended.report = report
		if found && (len(c.pushes) > 1 || p.source.via == viaAllTags) && (pushed(report) || reason(report) == "DryRun") {
			p.ended.code = fault.ExitOK
		}
		if p.moves() {
			c.expected[i].add(p.source.expected(w, p.asked))
		}
	}
	for _, p := range c.asked {
		if !slices.Contains(c.pushes, p) {
			p.ended = c.ended
		}
	}
}

// mayChange reports a tag that a call may change so.
func (c *performance) mayChange(w *world, name string, change change) bool {
	for i, p := range c.pushes {
		if slices.Contains(p.targets(w), name) {
			return !p.noClobber || change.was == ""
		}
		h := w.hosts[p.host]
		if tag, is := strings.CutPrefix(name, target(p.host, h.repositories[p.repo], "")); is && isOfReferrers(tag) {
			for _, a := range c.expected[i].along {
				if tag == referrersTag(a.subject) || tag == a.tag && (!p.noClobber || change.was == "") {
					return true
				}
			}
		}
	}
	// The tag of the source was moved in the middle.
	return slices.ContainsFunc(c.asked, func(p *push) bool {
		if p.trouble.kind != sourceMoved {
			return false
		}
		r := p.source.remotes[0]
		return name == target(r.host, w.hosts[r.host].repositories[r.repo], w.hosts[r.host].stored(r.version))
	})
}

func (c *performance) check(w *world, changed map[string]change) error {
	failed := false
	for i, p := range c.pushes {
		failed = failed || p.ended.code != fault.ExitOK
		if err := p.check(w, c.expected[i], changed); err != nil {
			return fmt.Errorf("%w (%s)", err, p)
		}
	}
	switch {
	case c.alike && c.ended.code != fault.ExitUsage:
		return errors.New("two images have one name, which has to be refused before anything is sent")
	case failed && c.ended.code == fault.ExitOK, !failed && c.ended.code != fault.ExitOK && !c.folded && len(c.pushes) > 0 && c.asked[0].trouble.kind == untroubled:
		return errors.New("the exit code is not what the reports say")
	}
	return nil
}

// check compares what came of a push with what had to. changed are the tags that
// are not as they were before.
func (p *push) check(w *world, expected expectation, changed map[string]change) error {
	h := w.hosts[p.host]
	own := maps.Clone(changed)
	maps.DeleteFunc(own, func(name string, _ change) bool { return !slices.Contains(p.targets(w), name) })
	switch {
	case p.ended.code == fault.ExitOK && p.dryRun:
		return p.checkDry(expected, own)
	case p.ended.code == fault.ExitOK:
		return p.checkSuccess(w, expected)
	}
	return p.checkFailure(h, expected, own)
}

func (p *push) checkSuccess(w *world, expected expectation) error {
	h := w.hosts[p.host]
	if len(expected.wants) == 0 {
		return errors.New("the push ended well, but has to be refused")
	}
	var digest string
	for _, tag := range p.tags {
		got, is, err := holdsOne(h, h.repositories[p.repo], h.stored(tag), expected.wants)
		if err != nil {
			return err
		}
		if digest != "" && got != digest {
			return fmt.Errorf("the tags differ: %s and %s", digest, got)
		}
		digest = got
		for _, a := range expected.along {
			if a.image != is.String() {
				continue // of what the tag was before it moved
			}
			if err := a.check(h, h.repositories[p.repo]); err != nil {
				return err
			}
		}
	}
	if p.source.via == viaTag || p.source.via == viaJoin {
		return p.checkPrinted(h, digest)
	}
	return p.checkReport(h, digest)
}

// holdsOne tells which of the images a tag leads to.
func holdsOne(h *host, repository, tag string, wants []want) (digest string, is want, err error) {
	for _, want := range wants {
		digest, wrong := want.check(h, repository, tag)
		if wrong == nil {
			return digest, want, nil
		}
		if err == nil {
			err = wrong
		}
	}
	return "", nil, err
}

// checkPrinted compares what a command without a report prints.
func (p *push) checkPrinted(h *host, digest string) error {
	for _, tag := range p.tags {
		if line := h.stored(tag) + ": digest: " + digest; !strings.Contains(p.ended.stdout, line) {
			return fmt.Errorf("the command does not say %q", line)
		}
	}
	return nil
}

// checkReport compares the report of a success with the registry.
func (p *push) checkReport(h *host, digest string) error {
	data, mediaType, _ := h.manifest(h.repositories[p.repo], digest)
	status := p.ended.report.Status
	var references []string
	for _, tag := range p.tags {
		reference := fmt.Sprintf("%s/%s:%s@%s", h.address(), h.repositories[p.repo], h.stored(tag), digest)
		if !slices.Contains(references, reference) {
			references = append(references, reference)
		}
	}
	if p.source.via == viaAllTags && status.Unverified && status.MediaType == "" {
		// Only the digest was asked for, and nothing tells whether the registry folds.
		mediaType, data, references = "", nil, status.References
	}
	switch {
	case status.Digest != digest, status.MediaType != mediaType, status.Size != int64(len(data)):
		return fmt.Errorf("the report says %s, a %s of %d bytes; want %s, a %s of %d bytes", status.Digest, status.MediaType, status.Size, digest, mediaType, len(data))
	case !slices.Equal(status.References, references):
		return fmt.Errorf("the report says %q, want %q", status.References, references)
	case status.Unverified && p.verify:
		return errors.New("the report says that nothing was looked at, but --verify was given")
	case !pushed(p.ended.report):
		return errors.New("the report has no condition Pushed that is True")
	}
	led := h.parts(h.repositories[p.repo], digest)
	for _, b := range status.Blobs {
		// A stream has to be sent before it is known which image is asked for,
		// with the layers of the others.
		if !slices.Contains(led.blobs, b.Digest) && !slices.Contains(led.manifests, b.Digest) {
			continue
		}
		if size, found := h.size(h.repositories[p.repo], b.Digest); !found || size != b.Size {
			return fmt.Errorf("the report says that %s is %s and has %d bytes; it has %d (there: %t)", b.Digest, b.Status, b.Size, size, found)
		}
	}
	return nil
}

// pushed tells whether the condition Pushed is True, reason why it is what it is.
func pushed(report v1alpha1.Push) bool {
	for _, c := range report.Status.Conditions {
		if c.Type == v1alpha1.ConditionPushed {
			return c.Status == "True"
		}
	}
	return false
}

func reason(report v1alpha1.Push) string {
	for _, c := range report.Status.Conditions {
		if c.Type == v1alpha1.ConditionPushed {
			return c.Reason
		}
	}
	return ""
}

// checkDry compares the report of a dry run.
func (p *push) checkDry(expected expectation, changed map[string]change) error {
	switch {
	case len(expected.wants) == 0:
		return errors.New("the dry run ended well, but the push has to be refused")
	case len(changed) > 0:
		return fmt.Errorf("the dry run changed %v", changed)
	case pushed(p.ended.report), len(p.ended.report.Status.References) > 0:
		return errors.New("the report of the dry run says that something was pushed")
	}
	return nil
}

// checkFailure: the tags are as they were. Of a push that was broken off in the
// middle, each may have what the push would have given it; so may that of one whose
// image is there, and what refers to that could not be copied.
func (p *push) checkFailure(h *host, expected expectation, changed map[string]change) error {
	if len(expected.wants) > 0 && !expected.mayFail {
		return errors.New("the push failed")
	}
	if !p.source.followed && (pushed(p.ended.report) || len(p.ended.report.Status.References) > 0) {
		return errors.New("the push failed, but its report says that something was pushed")
	}
	for name, c := range changed {
		if p.trouble.kind == untroubled && !p.source.followed || p.dryRun {
			return fmt.Errorf("the push failed, but %s is %s", name, c)
		}
		if _, _, err := holdsOne(h, h.repositories[p.repo], name[strings.LastIndex(name, ":")+1:], expected.wants); err != nil {
			return fmt.Errorf("the push was broken off: %w", err)
		}
	}
	return nil
}
