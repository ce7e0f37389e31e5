package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	digest "github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/relay"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// push is one call of [Client.Push]. Its files follow the image's way: blobs
// (blob.go, by package upload), then manifests and tags
// (manifest.go). What the cache knows saves steps (known.go), and what the
// source lacks comes from elsewhere (missing.go); a daemon may do the reading
// and compressing itself (daemon.go).
type push struct {
	client *Client
	conn   *wire.Conn
	ref    registry.Reference
	tags   []string
	opts   registry.PushOptions
	gate   *gate // bounds the blobs under way
	// compressors bounds the layers being compressed, each of which uses all
	// processors and some memory.
	compressors chan struct{}

	info               *wire.RequestInfo
	bytesSent, retries atomic.Int64
	refused            atomic.Bool // a request was too large, which was told

	// relay is the one that greet began, until it is used.
	relay *relay.Relay
	// standing is the image that greet found under every tag, where an earlier
	// push left it.
	standing *image.Manifest
	// unverified is [registry.Result.Unverified].
	unverified bool

	// mu guards the fields below, and lets one event out at a time.
	mu   sync.Mutex
	sent map[string]image.Sent
	// converted are the manifests that the registry got in another form, by the
	// digest of their own.
	converted map[digest.Digest]image.Manifest
	blobs     []registry.BlobResult
	// mounts are the blobs that the registry was asked to take from another
	// repository, and which that was; empty where it could not.
	mounts map[digest.Digest]string
	// lasting are the blobs that can be opened again until the push ends, by
	// name.
	lasting map[string]*image.Blob
}

// maxCompressors is how many layers are compressed at the same time: while one
// waits for its source or its last block, the other uses the processors.
const maxCompressors = 2

// Push implements [registry.RegistryClient].
func (c *Client) Push(ctx context.Context, imageRef string, opts registry.PushOptions) error {
	start := time.Now()
	ref, err := c.destination(imageRef)
	if err != nil {
		return err
	}
	if err := opts.Validate(); err != nil {
		return err
	}
	if opts.Source != nil && opts.ImageID == "" {
		opts.ImageID = opts.Source.ID()
	}
	if opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, opts.Timeout, fmt.Errorf("%w after %v", context.DeadlineExceeded, opts.Timeout))
		defer cancel()
	}
	p := c.newPush(ref, opts)
	p.info.Silence = &wire.Silence{Tell: func() {
		p.note("nothing has moved to or from %s for %v; after %v of that its connections are given up", c.Host(), wire.SilentFor, c.opts.StallTimeout)
	}}
	ctx = wire.WithInfo(ctx, p.info)
	defer p.abandonRelay()
	var root image.Manifest
	if p.conn, err = c.conn(ctx, opts.Insecure, p.greet); err == nil {
		root, err = p.run(ctx)
	}
	if err == nil {
		p.keepHeld(ctx)
	} else {
		err = p.failure(ctx, "push", err)
	}
	if opts.Result != nil {
		*opts.Result = p.result(root, err == nil, time.Since(start))
	}
	return err
}

// newPush is a push that has not met the registry yet.
func (c *Client) newPush(ref registry.Reference, opts registry.PushOptions) *push {
	return &push{
		client: c, ref: ref, opts: opts, tags: tagsOf(ref, opts.Tags),
		gate: newGate(cmp.Or(opts.Jobs, c.limits.Jobs(), registry.DefaultJobs)), compressors: make(chan struct{}, maxCompressors),
		info: wire.NewInfo("repository:"+ref.Repository+":pull,push", c.retries(opts.Retries)),
		sent: map[string]image.Sent{}, lasting: map[string]*image.Blob{}, mounts: map[digest.Digest]string{}, converted: map[digest.Digest]image.Manifest{},
	}
}

// destination parses imageRef and compares its host with the client's.
func (c *Client) destination(imageRef string) (registry.Reference, error) {
	ref, err := registry.ParseReference(imageRef)
	if err != nil {
		return ref, err
	}
	if ref.Host != "" && ref.Host != c.Host() {
		return ref, &registry.NameError{Input: imageRef, Fault: "the client is for " + c.Host(), Suggestion: registry.Reference{Host: c.Host(), Repository: ref.Repository, Tag: ref.Tag}.String()}
	}
	ref.Host = c.Host()
	return ref, nil
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

// failure puts the destination in front, and says when it was the push's own
// time limit that ended it, or that there was no credential: Gitea lets
// anybody in as a reader and then says that this one may not write.
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
	root, done, err := p.known(ctx)
	if err != nil || done {
		return root, err
	}
	root, err = p.carry(ctx)
	if err == nil && p.verifies() {
		err = p.whole(ctx, p.sentAs(root))
	}
	return root, err
}

// carry brings the image from where it is into the registry.
func (p *push) carry(ctx context.Context) (image.Manifest, error) {
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

// settle goes by the rules that the registry has beyond the specification's, as
// far as it is known by now what it is.
func (p *push) settle() error {
	if err := p.nameFault(); err != nil {
		return err
	}
	p.tags = distinct(p.tags, p.client.traits.Stored)
	for _, tag := range p.tags {
		if stored := p.client.traits.Stored(tag); stored != tag {
			p.note("the registry stores the tag %q as %q", tag, stored)
		}
	}
	return nil
}

// nameFault is what is wrong with the destination for the registry that it names.
func (p *push) nameFault() error {
	if !p.client.traits.Gitea() {
		return nil
	}
	return p.ref.CheckGitea(p.tags)
}

// source is the one of the options, or the daemon's export of the image.
func (p *push) source(ctx context.Context) (*image.Source, func() error, error) {
	if p.opts.Source != nil {
		return p.opts.Source, func() error { return nil }, nil
	}
	if p.client.opts.Save == nil {
		return nil, nil, registry.ErrNoSource
	}
	name := p.opts.Image
	if name == "" {
		name = p.ref.String()
	}
	stream, err := p.client.opts.Save(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	source, err := image.Read(stream, name, &image.Options{Platform: p.opts.Platform, Compression: p.opts.Compression})
	if err != nil {
		return nil, nil, errors.Join(err, stream.Close())
	}
	return source, func() error { return errors.Join(source.Close(), stream.Close()) }, nil
}

// send sends what the source holds: blobs, then manifests.
func (p *push) send(ctx context.Context, source *image.Source) (image.Manifest, error) {
	if err := p.sendBlobs(ctx, source); err != nil {
		return image.Manifest{}, err
	}
	img, err := p.finish(ctx, source)
	if errors.Is(err, errOtherForm) {
		img, err = p.finish(ctx, source)
	}
	if err != nil {
		return image.Manifest{}, err
	}
	p.remember(ctx, img.Root, p.opts.Compression)
	return img.Root, nil
}

// finish sends what only the end of the source tells: the manifests, by what has
// become of the blobs, and the last of these.
func (p *push) finish(ctx context.Context, source *image.Source) (*image.Image, error) {
	img, err := source.Finish(p.sent)
	if err != nil {
		return nil, err
	}
	for _, notice := range img.Notices {
		p.note("%s", notice)
	}
	if err := p.sendRest(ctx, img); err != nil {
		return nil, err
	}
	return img, p.putManifests(ctx, img)
}

// sendBlobs hands each blob of the source to a goroutine of its own, as many
// at a time as there are jobs. A blob that can be read only once has to be
// read before the source goes on; sending it may take longer.
func (p *push) sendBlobs(ctx context.Context, source *image.Source) error {
	for _, blob := range source.Left() {
		p.waiting(blob)
	}
	group, inner := errgroup.WithContext(ctx)
	for {
		if err := p.gate.acquire(inner); err != nil {
			break // the group or ctx has the cause
		}
		blob, err := source.Next(inner)
		if err != nil {
			p.gate.release()
			if !errors.Is(err, io.EOF) {
				group.Go(func() error { return err })
			}
			break
		}
		read := make(chan struct{})
		group.Go(func() error {
			defer p.gate.release()
			return p.sendBlob(inner, blob, sync.OnceFunc(func() { close(read) }))
		})
		if blob.Once {
			<-read
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// sendRest sends the blobs that only the end of the source made known, and
// those that it lacks, once all of these are found.
func (p *push) sendRest(ctx context.Context, img *image.Image) (err error) {
	found, err := p.locate(ctx, img.Missing)
	defer func() {
		for _, l := range found {
			err = errors.Join(err, l.close())
		}
	}()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(p.opts.Jobs, registry.DefaultJobs))
	for _, blob := range img.Blobs {
		group.Go(func() error { return p.sendBlob(ctx, blob, func() {}) })
	}
	for _, l := range found {
		group.Go(func() error { return l.send(ctx) })
	}
	return group.Wait()
}

// result tells what was done. Without success the tags do not all point at
// root.
func (p *push) result(root image.Manifest, success bool, took time.Duration) registry.Result {
	root = p.sentAs(root)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := registry.Result{
		Reference: p.ref.Familiar(), Blobs: p.blobs, BytesSent: p.bytesSent.Load(), Requests: int(p.info.Requests.Load()), Retries: int(p.retries.Load()),
		Duration: took, DryRun: p.opts.DryRun,
	}
	if !success {
		return r
	}
	r.Unverified = p.unverified
	r.MediaType, r.Digest, r.Size = root.Descriptor.MediaType, root.Descriptor.Digest, root.Descriptor.Size
	for _, tag := range p.tags {
		r.Tags = append(r.Tags, p.client.traits.Stored(tag))
	}
	return r
}

// waiting tells of a blob that is still to come.
func (p *push) waiting(blob *image.Blob) {
	e := registry.Event{Name: blob.Name, ID: shortID(blob), Status: registry.StatusWaiting, Total: blob.Size}
	if blob.Compress {
		e.Total = 0 // it will be less
	}
	p.emit(e)
}

// done records what became of a blob. One that exists may do so because it was
// mounted.
func (p *push) done(blob *image.Blob, sent image.Sent, status registry.Status) {
	p.mu.Lock()
	p.sent[blob.Name] = sent
	from := p.mounts[sent.Digest]
	switch {
	case status != registry.StatusExists:
		from = ""
	case from != "":
		status = registry.StatusMounted
	}
	p.blobs = append(p.blobs, registry.BlobResult{Digest: sent.Digest, Size: sent.Size, Status: status, From: from})
	p.mu.Unlock()
	p.emit(registry.Event{
		Name: blob.Name, ID: shortID(blob), Status: status, Current: sent.Size, Total: sent.Size,
		Digest: sent.Digest, From: from,
	})
}

// emit passes an event on, one at a time.
func (p *push) emit(e registry.Event) {
	if p.opts.Progress == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opts.Progress(e)
}

func (p *push) note(format string, args ...any) {
	p.emit(registry.Event{Note: fmt.Sprintf(format, args...)})
}

// debug logs a failure that does not end the push.
func (p *push) debug(ctx context.Context, what string, err error) {
	p.client.opts.Logger.DebugContext(ctx, "went on after a failure", slog.String("what", what), slog.String("cause", printable.Clean(err.Error())))
}

// shortID is what docker shows of a layer, the first digits of its diff ID or
// digest, if that is known from the beginning: no layer changes its name.
func shortID(blob *image.Blob) string {
	name := blob.Name
	if blob.Digest.Validate() == nil {
		name = blob.Digest.Encoded()
	}
	return name[:min(12, len(name))]
}

// gate bounds how many blobs are under way. Its width can be reduced while a
// push is going on: Gitea with SQLite answers parallel uploads with errors.
type gate struct {
	// mu guards the fields below; free is signalled when they change.
	mu          sync.Mutex
	free        sync.Cond
	used, width int
}

func newGate(width int) *gate {
	g := &gate{width: width}
	g.free.L = &g.mu
	return g
}

func (g *gate) acquire(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.free.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for ctx.Err() == nil && g.used >= g.width {
		g.free.Wait()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	g.used++
	return nil
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used--
	g.free.Broadcast()
}

// size is how many blobs may be under way.
func (g *gate) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.width
}

// narrow halves the width, down to one.
func (g *gate) narrow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.width = max(1, g.width/2)
}
