// Package relay is a registry on a loopback port that lives for one push: whoever
// holds an image pushes it there, and the relay passes it on to the [Destination]. It
// answers what a daemon asks while it pushes (distribution-spec, "push"; the daemons'
// own ways are those of moby's distribution package and of containerd's docker
// pusher): whether there is a blob, from the destination; a blob's bytes go there while
// they arrive; the manifest of the tag is put under all tags of the push. It makes no
// request itself.
//
// It takes a [Job] and gives an [Outcome]; everything that it wants from the registry it
// asks of the [Destination], which package push implements. It listens on one port, and keeps
// what the daemon sends in memory or in a temporary file. Begin with relay.go.
//
//   - relay.go: a relay from its beginning to its end; listen.go: its port
//   - handler.go: who is let in, and what is answered
//   - uploads.go: the blobs that pass; state.go: what became of them
//   - manifests.go: the manifests, and what the layers turn out to be
//   - standin.go: layers that the daemon need not compress
package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
)

// Destination is the push that a relay is for: the repository where everything
// goes. It is safe for concurrent use.
type Destination interface {
	// Find asks for digest and size of a blob of the repository, which are zero
	// where it is not there.
	Find(ctx context.Context, d digest.Digest) (ocispec.Descriptor, error)
	// Mount reports whether the repository has a blob, after it was asked for
	// from any other that may have it.
	Mount(ctx context.Context, d digest.Digest) (bool, error)
	// Config reads the config of an image from the repository.
	Config(ctx context.Context, d digest.Digest) ([]byte, error)
	// Enter waits until one more blob may be under way, until leave is called.
	Enter(ctx context.Context) (leave func(), err error)
	// Parted reports whether a part of a blob is sent only once all of it is there.
	Parted() bool
	// Send sends the blob that body gives. With keep it can be sent again from a
	// copy; without, it is not compared with its digest, and an upload that breaks
	// off late is a [content.ErrPassed].
	Send(ctx context.Context, blob *image.Blob, body io.Reader, keep bool) (image.Sent, error)
	// Exists tells the user of a blob that need not be sent.
	Exists(desc ocispec.Descriptor)
	// PutManifest puts a manifest by its digest, PutRoot under all tags of the push.
	PutManifest(ctx context.Context, m image.Manifest) error
	PutRoot(ctx context.Context, m image.Manifest) error
	// Debug logs a failure that does not end the push.
	Debug(ctx context.Context, what string, err error)
}

// Job is what a relay is for.
type Job struct {
	// Via has the holder of the image push it; see [registry.PushOptions.Via].
	Via func(ctx context.Context, to registry.Loopback) error
	// ImageID and DiffIDs are those of the image and its layers, as far as known.
	ImageID digest.Digest
	DiffIDs []digest.Digest
	// Form is that of the layers which another push may have compressed.
	Form image.Compression
	// Cache has what earlier pushes left.
	Cache *cache.Cache
	// Debug logs a failure that does not end the push.
	Debug func(ctx context.Context, what string, err error)
}

// Relay is the registry behind a [registry.Loopback].
type Relay struct {
	Job
	to         Destination // set before ready is closed
	repository string
	loopback   registry.Loopback
	ctx        context.Context //nolint:containedctx // of the push to this relay
	cancel     context.CancelCauseFunc
	server     *http.Server
	served     chan error     // of the server, when it has ended
	pushed     chan error     // of the holder's push, likewise
	opening    sync.Once      // of [Relay.Open]
	ready      chan struct{}  // closed when the destination can be asked
	running    sync.WaitGroup // requests
	uploads    uploads
	digests    digests
	standIns   *standIns
	forget     atomic.Bool // Loopback.Refuse was called

	// mu guards the fields below.
	mu     sync.Mutex
	closed bool
	reach  func() // closes the Loopback's Reached, at a push's first request
	keep   bool   // of a blob everything, until the registry has it
	again  bool   // one more push is needed
	resent bool   // and is, since the registry has lost what it had
	root   *image.Manifest
	err    error // why the destination does not take the image
}

// Begin opens a relay, and has the holder push to it, which gets no answers before
// [Relay.Open]. The caller then calls [Relay.Finish] or [Relay.Abandon].
func Begin(ctx context.Context, j Job) (*Relay, error) {
	listener, repository, err := listen(ctx, j)
	if err != nil {
		return nil, err
	}
	r := &Relay{
		Job: j, repository: repository,
		served: make(chan error, 1), pushed: make(chan error, 1), ready: make(chan struct{}),
		uploads: uploads{of: map[string]upload{}}, digests: digests{of: map[digest.Digest]blob{}},
	}
	r.loopback = registry.Loopback{
		Repository: listener.Addr().String() + "/" + repository, Tag: registry.LoopbackTag,
		Username: "docker-gitea", Password: rand.Text(),
		Refuse: func() { r.forget.Store(true) }, Sent: r.hasRoot,
	}
	inner, cancel := context.WithCancelCause(ctx)
	r.ctx, r.cancel = inner, cancel
	r.standIns = newStandIns(inner, r)
	r.server = &http.Server{ //nolint:gosec // the only client is the daemon; what it sends slowly is its layers
		Handler:     r.handler(),
		BaseContext: func(net.Listener) context.Context { return inner },
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // daemons try TLS first
	}
	go func() { r.served <- r.server.Serve(listener) }()
	go func() {
		err := r.via()
		if !r.loopback.WasReached() {
			r.cancel(err) // nobody asks for what the destination is being asked
		}
		r.pushed <- err
	}()
	return r, nil
}

// via has the holder push once. Reached is new for each push: a call of an
// earlier one must not have the name removed before the holder has looked it up.
func (r *Relay) via() error {
	reached := make(chan struct{})
	r.mu.Lock()
	r.reach, r.loopback.Reached = sync.OnceFunc(func() { close(reached) }), reached
	r.mu.Unlock()
	return r.Via(r.ctx, r.loopback)
}

// Open lets requests be answered: the destination can be asked. Only the first call
// counts.
func (r *Relay) Open(to Destination) {
	r.opening.Do(func() {
		r.to = to
		r.keep = to.Parted()
		r.standIns.prepare()
		close(r.ready)
	})
}

// Outcome is what came of a relay.
type Outcome struct {
	// Root is the manifest that the tags point at now, or nil.
	Root *image.Manifest
	// Refused is why the destination does not take the image.
	Refused error
	// Err is why the holder's push failed.
	Err error
	// Reached: the holder has called. Otherwise it is in another network, and
	// nothing is wrong.
	Reached bool
}

// Finish waits for the daemon's push, has it push once more if that is needed, and
// then closes the port: the daemon still asks when the image has arrived.
func (r *Relay) Finish() Outcome {
	err := <-r.pushed
	if err == nil && r.needsMore() {
		err = r.via()
	}
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	return Outcome{Root: r.root, Refused: r.err, Err: err, Reached: r.loopback.WasReached()}
}

// Abandon ends a relay that is not needed.
func (r *Relay) Abandon() {
	r.cancel(nil)
	if err := r.Finish().Err; err != nil {
		r.Debug(r.ctx, "push by the daemon, which is not needed", err)
	}
}

// end ends a relay after the holder's push.
func (r *Relay) end() {
	r.close()
	// Shutdown would wait for connections that were never used.
	err := r.server.Close()
	if serveErr := <-r.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	r.running.Wait()
	if err != nil {
		r.Debug(r.ctx, "close the loopback port", err)
	}
}

// close ends the requests that still run: they have no client any more.
func (r *Relay) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(nil)
}

// hasRoot implements [registry.Loopback.Sent].
func (r *Relay) hasRoot() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.root != nil
}

// needsMore reports, once, whether the daemon has to push again.
func (r *Relay) needsMore() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.again
	r.again = false
	return again
}
