package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/plugin"
	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// push is the event that everything is about: an image that a call of the plugin
// brings into a repository.
type push struct {
	source           source
	user, host, repo int
	tags             []string
	platform         string
	compression      compression
	verify, dryRun   bool
	trouble          trouble

	// ended is what came of it.
	ended ended
}

// trouble is what happens in the middle of a push.
type trouble struct {
	kind troubleKind
	// at is the request at which it does, of those to the registry or, for the
	// last two kinds, the one of that name to the daemon.
	at   int
	call string
	// picture is what the image becomes that is tagged anew meanwhile.
	picture *picture
}

type troubleKind string

const (
	untroubled      troubleKind = ""
	cancelAtRequest troubleKind = "cancelled as request"
	cancelAtAnswer  troubleKind = "cancelled with the answer to request"
	portal          troubleKind = "a captive portal from request"
	cancelAtCall    troubleKind = "cancelled as the daemon is asked to"
	retagged        troubleKind = "the image is tagged anew as the daemon is asked to"
)

func (t trouble) String() string {
	switch t.kind {
	case untroubled:
		return ""
	case cancelAtCall:
		return fmt.Sprintf("; %s %s", t.kind, t.call)
	case retagged:
		return fmt.Sprintf("; %s %s: %q", t.kind, t.call, t.picture.name)
	default:
		return fmt.Sprintf("; %s %d", t.kind, t.at)
	}
}

func (p *push) name() string { return "push" }

func (p *push) String() string {
	var options []string
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"--platform " + p.platform, p.platform != ""},
		{"--compression " + string(p.compression), p.compression != ""},
		{"--verify", p.verify},
		{"--dry-run", p.dryRun},
	} {
		if o.set {
			options = append(options, o.name)
		}
	}
	return strings.Join(append([]string{fmt.Sprintf("user %d pushes %s to host %d, repository %d:%s", p.user, p.source, p.host, p.repo, strings.Join(p.tags, ","))}, options...), " ") + p.trouble.String()
}

// ended is what a call of the plugin has shown of itself.
type ended struct {
	code           int
	report         v1alpha1.Push
	stdout, stderr string
}

func (p *push) do(w *world) error { return perform(w, p) }

// perform has pushes happen side by side, and checks what came of each. No two
// have a tag in common.
func perform(w *world, pushes ...*push) error {
	var expected []expectation
	for _, p := range pushes {
		expected = append(expected, p.source.expected(w, p.platform, p.compression))
		h := w.hosts[p.host]
		if slices.ContainsFunc(p.tags, func(tag string) bool {
			return stands(h, h.repositories[p.repo], tag) && h.parts(h.repositories[p.repo], h.stored(tag)).broken
		}) {
			p.verify = true // and is shown so
		}
	}
	w.pushes = append(w.pushes, pushes...)
	before := w.snapshots()
	var running sync.WaitGroup
	for _, p := range pushes {
		running.Go(func() { p.ended = p.run(w) })
	}
	running.Wait()
	for _, p := range pushes {
		if p.trouble.kind != untroubled {
			w.hosts[p.host].settle()
		}
	}
	after := w.snapshots()
	for name := range differences(before, after) {
		if !slices.ContainsFunc(pushes, func(p *push) bool { return slices.Contains(p.targets(w), name) }) {
			return fmt.Errorf("a tag of nobody's changed: %s", name)
		}
	}
	for i, p := range pushes {
		if p.trouble.kind == retagged && !p.source.byID {
			expected[i].add(p.source.expected(w, p.platform, p.compression))
		}
		expected[i].mayFail = expected[i].mayFail || p.trouble.kind != untroubled
		if err := p.check(w, expected[i], differences(before, after), p.ended); err != nil {
			return fmt.Errorf("%w\nexit code %d, printed\n%s%s", err, p.ended.code, p.ended.stdout, p.ended.stderr)
		}
	}
	return nil
}

// targets are the tags that a push sets, as [world.snapshots] has them.
func (p *push) targets(w *world) []string {
	var all []string
	h := w.hosts[p.host]
	for _, tag := range p.tags {
		all = append(all, target(p.host, h.repositories[p.repo], h.stored(tag)))
	}
	return all
}

func stands(h *host, repository, tag string) bool {
	_, _, found := h.manifest(repository, h.stored(tag))
	return found
}

// run calls the plugin as docker does.
func (p *push) run(w *world) ended {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer p.arm(w, cancel)()
	var stdout, stderr bytes.Buffer
	socket := w.store.socket
	if p.source.kind == fromClassic {
		socket = w.classic.socket
	}
	env := map[string]string{
		"DOCKER_CONFIG": w.dir, "DOCKER_HOST": "unix://" + socket,
		"GOMEMLIMIT": "off", // or it is set for the process
	}
	code := plugin.Main(ctx, plugin.System{
		Program: "docker-gitea", Args: p.arguments(w), Version: "model", CacheDir: w.cache(p.user),
		LookupEnv: func(key string) (string, bool) { value, set := env[key]; return value, set },
		Stdin:     p.source.stdin(), Stdout: &stdout, Stderr: &stderr,
		Browser: func() func(string) error { return nil },
	})
	end := ended{code: code, stdout: stdout.String(), stderr: stderr.String()}
	_ = json.Unmarshal(stdout.Bytes(), &end.report) // what is no report, is none of this push
	return end
}

func (p *push) arguments(w *world) []string {
	args := []string{"gitea", "push", "--plain-http", "--format", "json", "--progress", "plain"}
	add := func(option, value string) {
		if value != "" {
			args = append(args, option, value)
		}
	}
	add("--platform", p.platform)
	algorithm, level, _ := strings.Cut(string(p.compression), ":")
	add("--compression", algorithm)
	add("--compression-level", level)
	if p.source.isDaemon() {
		add("--via", p.source.via)
	}
	if p.source.second != nil {
		add("--image", names[p.source.chosen])
	}
	if p.verify {
		args = append(args, "--verify")
	}
	if p.dryRun {
		args = append(args, "--dry-run")
	}
	for _, tag := range p.tags {
		add("--tag", tag)
	}
	return append(args, p.source.argument(w), w.hosts[p.host].address()+"/"+w.hosts[p.host].repositories[p.repo])
}

// arm prepares the trouble. The caller calls what is returned when the push has
// ended.
func (p *push) arm(w *world, cancel func()) (disarm func()) {
	h := w.hosts[p.host]
	switch p.trouble.kind {
	case cancelAtRequest, cancelAtAnswer, portal:
		h.arm(func(n int) act {
			switch {
			case p.trouble.kind == portal:
				return act{portal: n >= p.trouble.at}
			case n != p.trouble.at:
				return act{}
			case p.trouble.kind == cancelAtRequest:
				return act{before: cancel}
			}
			return act{after: cancel}
		})
		return func() { h.arm(nil) }
	case cancelAtCall, retagged:
		d := p.source.daemon(w)
		done := false
		d.arm(func(call string) {
			if call != p.trouble.call || done {
				return
			}
			done = true
			if p.trouble.kind == cancelAtCall {
				cancel()
				return
			}
			d.load(p.trouble.picture, p.source.image, every)
		})
		return func() { d.arm(nil) }
	default:
		return func() {}
	}
}

// check compares what came of a push with what had to. changed are the tags that
// are not as they were before.
func (p *push) check(w *world, expected expectation, changed map[string]change, end ended) error {
	h := w.hosts[p.host]
	maps.DeleteFunc(changed, func(name string, _ change) bool { return !slices.Contains(p.targets(w), name) })
	switch {
	case end.code == fault.ExitOK && p.dryRun:
		return p.checkDry(expected, changed, end)
	case end.code == fault.ExitOK:
		return p.checkSuccess(h, expected, end)
	}
	return p.checkFailure(h, expected, changed, end)
}

func (p *push) checkSuccess(h *host, expected expectation, end ended) error {
	if len(expected.wants) == 0 {
		return errors.New("the push ended well, but has to be refused")
	}
	var digest string
	for _, tag := range p.tags {
		got, err := holdsOne(h, h.repositories[p.repo], h.stored(tag), expected.wants)
		if err != nil {
			return err
		}
		if digest != "" && got != digest {
			return fmt.Errorf("the tags differ: %s and %s", digest, got)
		}
		digest = got
	}
	return p.checkReport(h, digest, end.report)
}

// holdsOne tells which of the images a tag leads to.
func holdsOne(h *host, repository, tag string, wants []want) (digest string, err error) {
	for _, want := range wants {
		digest, wrong := want.check(h, repository, tag)
		if wrong == nil {
			return digest, nil
		}
		if err == nil {
			err = wrong
		}
	}
	return "", err
}

// checkReport compares the report of a success with the registry.
func (p *push) checkReport(h *host, digest string, report v1alpha1.Push) error {
	data, mediaType, _ := h.manifest(h.repositories[p.repo], digest)
	status := report.Status
	var references []string
	for _, tag := range p.tags {
		reference := fmt.Sprintf("%s/%s:%s@%s", h.address(), h.repositories[p.repo], h.stored(tag), digest)
		if !slices.Contains(references, reference) {
			references = append(references, reference)
		}
	}
	switch {
	case status.Digest != digest, status.MediaType != mediaType, status.Size != int64(len(data)):
		return fmt.Errorf("the report says %s, a %s of %d bytes; want %s, a %s of %d bytes", status.Digest, status.MediaType, status.Size, digest, mediaType, len(data))
	case !slices.Equal(status.References, references):
		return fmt.Errorf("the report says %q, want %q", status.References, references)
	case status.Unverified && p.verify:
		return errors.New("the report says that nothing was looked at, but --verify was given")
	case !pushed(report):
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

func pushed(report v1alpha1.Push) bool {
	for _, c := range report.Status.Conditions {
		if c.Type == v1alpha1.ConditionPushed {
			return c.Status == "True"
		}
	}
	return false
}

// checkDry compares the report of a dry run.
func (p *push) checkDry(expected expectation, changed map[string]change, end ended) error {
	switch {
	case len(expected.wants) == 0:
		return errors.New("the dry run ended well, but the push has to be refused")
	case len(changed) > 0:
		return fmt.Errorf("the dry run changed %v", changed)
	case pushed(end.report), len(end.report.Status.References) > 0:
		return errors.New("the report of the dry run says that something was pushed")
	}
	return nil
}

// checkFailure: the tags are as they were. Of a push that was broken off in the
// middle, each may have what the push would have given it.
func (p *push) checkFailure(h *host, expected expectation, changed map[string]change, end ended) error {
	if len(expected.wants) > 0 && !expected.mayFail {
		return errors.New("the push failed")
	}
	if pushed(end.report) || len(end.report.Status.References) > 0 {
		return errors.New("the push failed, but its report says that something was pushed")
	}
	for name, c := range changed {
		if p.trouble.kind == untroubled || p.dryRun {
			return fmt.Errorf("the push failed, but %s is %s", name, c)
		}
		if _, err := holdsOne(h, h.repositories[p.repo], name[strings.LastIndex(name, ":")+1:], expected.wants); err != nil {
			return fmt.Errorf("the push was broken off: %w", err)
		}
	}
	return nil
}
