// Package push brings one image into a repository and points tags at it. Package
// upload decides how a blob gets there, and package relay handles what a daemon
// pushes by itself. The client (package remote) decides which image is pushed
// where, and as whom.
//
// It takes an [Env], a reference and options, and gives events, a [registry.Result] and an
// error. It makes requests through packages repo and upload, and remembers in the cache.
// The lock of what a push has done is in record.go, and nothing else takes it. Begin with
// push.go.
//
//   - push.go: one push from its start to its end; gate.go: how many blobs are under
//     way; record.go: what was done so far, and what is told of it
//   - shortcut.go: what need not be sent at all; remember.go: what may be kept for
//     that (package cache)
//   - image.go: the blobs of an image, in the order in which its source gives them;
//     blob.go: one of them; observer.go: the events of its upload; missing.go: those that
//     the source lacks
//   - daemon.go: a daemon reads and compresses instead
//   - manifest.go: manifests and tags; convert.go: manifests with OCI's media
//     types; referrers.go: what refers to another manifest; verify.go: whether the
//     registry has all of it
//   - batch.go: what pushes that are made together need not ask again
//   - tag.go and join.go: other names for what registries have already;
//     clobber.go: tags that are not to be moved
package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/upload"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Env is what all pushes of a client have in common.
type Env struct {
	// Host is the registry's, in its normal form.
	Host string
	// Connect gives the connection to the registry, and lets greet make the first
	// request if nobody has asked for a token yet.
	Connect func(ctx context.Context, insecure bool, greet wire.Greeting) (*wire.Conn, error)
	// Cache has what one push leaves to the next; Traits and Limits what the
	// client has found out about the registry.
	Cache  *cache.Cache
	Traits *wire.Traits
	Limits *upload.Limits
	// Batch is what pushes that are made together have seen; nil where each looks for
	// itself.
	Batch *Batch
	// Save gives the image of a local daemon. Nil means that there is none.
	Save image.SaveFunc
	// Foreign opens an address that a manifest gives, without the credential
	// and the settings of any host.
	Foreign func(ctx context.Context, address string) (io.ReadCloser, error)
	// Retries is how often to try again. own is what the push says, and zero if it
	// says nothing. Backoff is the wait before the n-th retry.
	Retries func(own int) int
	Backoff func(n int) time.Duration
	// StallTimeout is how long nothing may move on a connection before it is
	// given up.
	StallTimeout time.Duration
	// Logger receives debugging messages.
	Logger *slog.Logger
}

// push is what points tags of a repository at a manifest: one call of [Run], [Tag]
// or [Join].
type push struct {
	env  Env
	conn *wire.Conn
	ref  registry.Reference
	tags []string
	opts registry.PushOptions
	info *wire.RequestInfo
	gate *gate // bounds the blobs under way
	// compressors bounds the layers being compressed. Each uses all processors and
	// some memory.
	compressors chan struct{}
	record      *record

	// relay is the one that greet began, until it is used. It is opened early, so that the
	// holder may ask for blobs while the push asks for the image; nothing is sent before
	// carrying is closed.
	relay    *relay.Relay
	carrying chan struct{}
	// standing is the image that greet found under every tag, where an earlier
	// push left it.
	standing *image.Manifest
	// unverified is [registry.Result.Unverified].
	unverified bool
}

// maxCompressors is how many layers are compressed at the same time: while one
// waits for its source or its last block, the other uses the processors.
const maxCompressors = 2

// newPush is a push that has not met the registry yet.
func newPush(env Env, ref registry.Reference, opts registry.PushOptions) *push {
	return &push{
		env: env, ref: ref, opts: opts, tags: tagsOf(ref, opts.Tags),
		gate: newGate(env.jobs(opts)), compressors: make(chan struct{}, maxCompressors),
		info:   wire.NewInfo("repository:"+ref.Repository+":pull,push", env.Retries(opts.Retries)),
		record: newRecord(opts.Progress), carrying: make(chan struct{}),
	}
}

// jobs is how many blobs of a push travel side by side.
func (e Env) jobs(opts registry.PushOptions) int {
	return cmp.Or(opts.Jobs, e.Limits.Jobs(), registry.DefaultJobs)
}

// Run pushes the image of opts, which are valid, to ref; see
// [registry.RegistryClient].
func Run(ctx context.Context, env Env, ref registry.Reference, opts registry.PushOptions) error {
	start := time.Now()
	if opts.Source != nil && opts.ImageID == "" {
		opts.ImageID = opts.Source.ID()
	}
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, opts.Timeout, fmt.Errorf("%w after %v", context.DeadlineExceeded, opts.Timeout))
		defer cancel()
	}
	p := newPush(env, ref, opts)
	p.info.Silence = &wire.Silence{Tell: func() {
		p.record.note("nothing has moved to or from %s for %v; after %v of that its connections are given up", env.Host, wire.SilentFor, env.StallTimeout)
	}}
	ctx = wire.WithInfo(ctx, p.info)
	defer p.abandonRelay()
	var root image.Manifest
	var err error
	if p.conn, err = env.Connect(ctx, opts.Insecure, p.greet); err == nil {
		root, err = p.run(ctx)
	}
	if err == nil {
		p.rememberHolder(ctx)
	} else {
		err = p.failure(ctx, "push", err)
	}
	if opts.Result != nil {
		*opts.Result = p.result(root, err == nil, time.Since(start))
	}
	return err
}

// tagsOf are the tags to set, each once.
func tagsOf(ref registry.Reference, more []string) []string {
	return distinct(append([]string{ref.Tag}, more...), func(tag string) string { return tag })
}

// distinct keeps of the tags that are stored as the same one the first.
func distinct(tags []string, stored func(tag string) string) []string {
	known := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(tags), func(tag string) bool {
		seen := known[stored(tag)]
		known[stored(tag)] = true
		return seen
	})
}

// failure puts the destination in front of an error. It adds that the push's
// own time limit ended it, or that there was no credential: Gitea lets anybody
// in as a reader, and then says that this one may not write.
func (p *push) failure(ctx context.Context, op string, err error) error {
	if fault := p.nameFault(); fault != nil {
		return fault // whatever the registry made of it
	}
	if p.conn != nil {
		err = p.conn.Identify(ctx, err)
	}
	if p.conn != nil && errors.Is(err, registry.ErrDenied) && p.conn.Anonymous() {
		err = fmt.Errorf("%w, no credential was given: %w", registry.ErrUnauthorized, err)
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(cause, context.DeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("%s %s: %w", op, p.ref, err)
}

// repo is the destination.
func (p *push) repo() repo.Repo { return repo.Repo{Conn: p.conn, Name: p.ref.Repository} }

// run goes through the stages and returns the manifest that was tagged.
func (p *push) run(ctx context.Context) (image.Manifest, error) {
	if err := p.settle(); err != nil {
		return image.Manifest{}, err
	}
	if err := p.spareUnread(ctx); err != nil {
		return image.Manifest{}, err
	}
	root, done, err := p.known(ctx)
	if err != nil || done {
		return root, err
	}
	root, err = p.carry(ctx)
	if err == nil && p.verifies() {
		err = p.whole(ctx, p.record.sentAs(root))
	}
	return root, err
}

// worthCompressing is how many bytes compression has to save for a push to say so.
const worthCompressing = 1_000_000

// carry brings the image from where it is into the registry.
func (p *push) carry(ctx context.Context) (image.Manifest, error) {
	root, err := p.bringOver(ctx)
	if raw, saved := p.record.uncompressed(); err == nil && saved >= worthCompressing {
		p.record.note("%d MB of the image are layers without compression; --force-compression would save about %d MB, and change the digest of the image", raw/1_000_000, saved/1_000_000)
	}
	return root, err
}

func (p *push) bringOver(ctx context.Context) (image.Manifest, error) {
	root, done, err := p.relayed(ctx)
	if err != nil || done {
		return root, err
	}
	source, closeSource, err := p.source(ctx)
	if err != nil {
		return image.Manifest{}, err
	}
	root, err = p.send(ctx, source)
	return root, errors.Join(err, closeSource())
}

// settle applies the rules for names and tags that the registry has beyond the
// specification's, if it is known by now which registry it is.
func (p *push) settle() error {
	if err := p.nameFault(); err != nil {
		return err
	}
	p.tags = distinct(p.tags, p.env.Traits.Stored)
	for _, tag := range p.tags {
		if stored := p.env.Traits.Stored(tag); stored != tag {
			p.record.note("the registry stores the tag %q as %q", tag, stored)
		}
	}
	return nil
}

// nameFault is what is wrong with the destination for the registry that it names.
func (p *push) nameFault() error {
	if !p.env.Traits.Gitea() {
		return nil
	}
	return p.ref.CheckGitea(p.tags)
}

// result tells what was done. Without success the tags do not all point at
// root.
func (p *push) result(root image.Manifest, success bool, took time.Duration) registry.Result {
	root = p.record.sentAs(root)
	r := registry.Result{
		Reference: p.ref.Familiar(), Blobs: p.record.results(), BytesSent: p.record.bytesSent.Load(), Requests: int(p.info.Requests.Load()), Retries: int(p.record.retries.Load()),
		Duration: took, DryRun: p.opts.DryRun,
	}
	if !success {
		return r
	}
	r.Unverified = p.unverified
	r.MediaType, r.Digest, r.Size = root.Descriptor.MediaType, root.Descriptor.Digest, root.Descriptor.Size
	for _, tag := range p.tags {
		r.Tags = append(r.Tags, p.env.Traits.Stored(tag))
	}
	return r
}

// debug logs a failure that does not end the push.
func (p *push) debug(ctx context.Context, what string, err error) {
	p.env.Logger.DebugContext(ctx, "went on after a failure", slog.String("what", what), slog.String("cause", printable.Clean(err.Error())))
}
