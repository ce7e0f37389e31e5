package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// relay is the registry behind a [registry.Loopback]. It answers what a daemon asks
// while it pushes (distribution-spec, "push"; the daemons' own ways are those
// of moby's distribution package and of containerd's docker pusher): whether
// there is a blob, from the real registry; a blob's bytes go there while they
// arrive; the manifest of the tag is put under all tags of the push.
type relay struct {
	push       *push
	repository string
	to         registry.Loopback
	ctx        context.Context         // of the push to this relay
	cancel     context.CancelCauseFunc // likewise
	server     *http.Server
	served     chan error             // of the server, when it has ended
	pushed     chan error             // of the holder's push, likewise
	ready      chan struct{}          // closed when the registry can be asked
	sentBefore map[digest.Digest]bool // to whichever repository; may be mounted
	running    sync.WaitGroup         // requests
	standIns   *standIns
	forget     atomic.Bool // Loopback.Refuse was called

	// mu guards the fields below.
	mu       sync.Mutex
	closed   bool
	reach    func()                 // closes the Loopback's Reached, at a push's first request
	sessions map[string]image.Sent  // what an upload became so far
	broken   map[string]bool        // uploads that were broken off
	dropped  map[string]bool        // uploads of which the registry did not get everything
	lost     map[digest.Digest]bool // what these were
	streamed int                    // how many uploads began without a digest
	keep     bool                   // of a blob everything, until the registry has it
	again    bool                   // one more push is needed
	resent   bool                   // and is, since the registry has lost what it had
	told     map[digest.Digest]bool
	// documents are the small JSON blobs that have passed: configs, for the most.
	documents map[digest.Digest][]byte
	root      *image.Manifest
	err       error // why the real registry does not take the image
}

// anticipate has the holder of the image begin to push it while the registry is
// asked for a token: to find and name the image takes a daemon as long. An image
// that was pushed before may be there, and a new tag all that it lacks.
func (p *push) anticipate(ctx context.Context) {
	if _, pushed := p.knownRoot(); !pushed {
		p.relay = p.beginRelay(ctx)
	}
}

// beginRelay opens a relay, and has the holder push to it, which gets no answers
// yet. It is nil where that cannot be.
func (p *push) beginRelay(ctx context.Context) *relay {
	if p.opts.Via == nil || p.opts.DryRun {
		return nil
	}
	listener, repository, err := p.listen(ctx)
	if err != nil {
		p.debug(ctx, "listen on a loopback port", err)
		return nil
	}
	r := &relay{
		push: p, repository: repository,
		served: make(chan error, 1), pushed: make(chan error, 1), ready: make(chan struct{}),
		sessions: map[string]image.Sent{}, broken: map[string]bool{}, dropped: map[string]bool{}, lost: map[digest.Digest]bool{}, told: map[digest.Digest]bool{}, sentBefore: map[digest.Digest]bool{}, documents: map[digest.Digest][]byte{},
	}
	r.to = registry.Loopback{
		Repository: listener.Addr().String() + "/" + repository, Tag: registry.LoopbackTag,
		Username: "docker-gitea", Password: rand.Text(),
		Refuse: func() { r.forget.Store(true) }, Sent: r.hasRoot,
	}
	inner, cancel := context.WithCancelCause(ctx)
	r.ctx, r.cancel = inner, cancel
	r.standIns = newStandIns(inner, r)
	for _, entry := range r.standIns.cached {
		r.sentBefore[entry.Digest] = true
	}
	r.server = &http.Server{ //nolint:gosec // the only client is the daemon; what it sends slowly is its layers
		Handler:     r.handler(),
		BaseContext: func(net.Listener) context.Context { return inner },
		ErrorLog:    slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // daemons try TLS first
	}
	go func() { r.served <- r.server.Serve(listener) }()
	go func() { r.pushed <- r.via() }()
	return r
}

// via has the holder push once. What it did before says nothing of this push:
// who takes a call for it removes the name before the holder has looked it up.
func (r *relay) via() error {
	reached := make(chan struct{})
	r.mu.Lock()
	r.reach, r.to.Reached = sync.OnceFunc(func() { close(reached) }), reached
	r.mu.Unlock()
	return r.push.opts.Via(r.ctx, r.to)
}

// open lets requests be answered: there is a connection to the registry.
func (r *relay) open() {
	r.keep = r.push.parted() // a part is sent once all of it is there
	r.standIns.prepare()
	close(r.ready)
}

// finish waits for the holder's push, has it push once more where that is needed,
// and then closes the port: whoever pushes still asks when the image has arrived.
func (r *relay) finish() error {
	err := <-r.pushed
	if err == nil && r.needsMore() {
		err = r.via()
	}
	r.end()
	return err
}

// end ends a relay of which the holder's push has ended.
func (r *relay) end() {
	r.close()
	// Shutdown would wait for connections that were never used.
	err := r.server.Close()
	if serveErr := <-r.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	r.running.Wait()
	if err != nil {
		r.push.debug(r.ctx, "close the loopback port", err)
	}
}

// abandonRelay ends a relay that was not needed.
func (p *push) abandonRelay() {
	if r := p.relay; r != nil {
		r.cancel(nil)
		if err := r.finish(); err != nil {
			p.debug(r.ctx, "push by the daemon, which is not needed", err)
		}
	}
}

// hasRoot implements [registry.Loopback.Sent].
func (r *relay) hasRoot() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.root != nil
}

// relayed has the holder of the image push it through a relay. done is false
// where that could not be; the source then decides.
func (p *push) relayed(ctx context.Context) (root image.Manifest, done bool, err error) {
	r := p.relay
	if r == nil {
		r = p.beginRelay(ctx)
	}
	if r == nil {
		return root, false, nil
	}
	p.relay = nil
	r.open()
	err = r.finish()
	switch {
	case r.root != nil:
		if err != nil {
			p.note("the push is complete, but not its tidying up: %s", printable.Clean(err.Error()))
		}
		r.remember(ctx, *r.root)
		return *r.root, true, nil
	case ctx.Err() != nil:
		return root, false, ctx.Err()
	case r.err != nil:
		return root, false, r.err
	case err == nil:
		err = errors.New("it sent no manifest")
	}
	p.debug(ctx, "push by the daemon", err)
	if r.to.WasReached() { // otherwise the daemon is in another network, and nothing is wrong
		p.note("the daemon could not push the image (%s); reading it instead", printable.Clean(err.Error()))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.sent)
	p.blobs = nil
	return root, false, nil
}

// daemonForm is that of the layers which a daemon compresses: with gzip, at a
// level of its own that takes the place of the default.
var daemonForm = image.Compression{Algorithm: image.Gzip}

// remember keeps what the daemon made of the layers, for the next push by
// whichever way, and that it knows them. It does so only of an image that is known
// by its config: a classic store has compressed those layers itself, from what it
// knows by the diff IDs. A store of manifests passes on what others made, of which
// nobody has compared a layer with the diff ID that the config gives it.
func (r *relay) remember(ctx context.Context, root image.Manifest) {
	p := r.push
	p.remember(ctx, root, daemonForm)
	if len(p.opts.DiffIDs) == 0 || !root.HasConfig(p.opts.ImageID, daemonForm) {
		return
	}
	layers, err := r.layers(ctx, root)
	if err != nil {
		p.debug(ctx, "find out what the layers are", err)
		return
	}
	for _, layer := range layers {
		if layer.Algorithm == "" {
			continue
		}
		p.keepLayer(ctx, image.Sent{DiffID: layer.DiffID, Digest: layer.Digest, Size: layer.Size}, image.Compression{Algorithm: layer.Algorithm})
		if err := p.client.cache.KeepTaught(r.repository, layer.DiffID); err != nil {
			p.debug(ctx, "remember that the daemon knows a layer", err)
		}
		if whole, sent := r.standIns.sent(layer.Digest); sent && whole.begins != "" {
			p.keepBeginning(ctx, layer.DiffID, whole.begins)
		}
	}
}

// layers pairs the layers of a manifest of the daemon's with their diff IDs, by
// its config: that which has just passed, or else the registry's.
func (r *relay) layers(ctx context.Context, m image.Manifest) ([]image.Layer, error) {
	if len(m.References) == 0 {
		return nil, errors.New("the manifest names no config")
	}
	config := m.References[0].Digest
	r.mu.Lock()
	data, passed := r.documents[config]
	r.mu.Unlock()
	if !passed {
		var err error
		if data, err = r.push.repo().Config(ctx, config); err != nil {
			return nil, err
		}
	}
	return m.Layers(data)
}

func (r *relay) handler() http.Handler {
	base := "/v2/" + r.repository
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("HEAD "+base+"/blobs/{digest}", r.statBlob)
	mux.HandleFunc("POST "+base+"/blobs/uploads/{$}", r.startUpload)
	mux.HandleFunc("PATCH "+base+"/blobs/uploads/{id}", r.streamUpload)
	mux.HandleFunc("PUT "+base+"/blobs/uploads/{id}", r.commitUpload)
	mux.HandleFunc("DELETE "+base+"/blobs/uploads/{id}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("PUT "+base+"/manifests/{reference}", r.putManifest)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "UNKNOWN", "not here")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		username, password, _ := req.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(username+":"+password), []byte(r.to.Username+":"+r.to.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="docker-gitea"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "this is for one push only")
			return
		}
		if !r.enter() {
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the push has ended")
			return
		}
		defer r.running.Done()
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if req.URL.Path != "/v2/" && !r.awaitReady(req.Context()) { // moby waits 15 s for the first
			refuse(w, http.StatusServiceUnavailable, "UNAVAILABLE", "the push has ended")
			return
		}
		mux.ServeHTTP(w, req)
	})
}

// enter counts a request in. It is false after close.
func (r *relay) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.reach()
	r.running.Add(1)
	return true
}

// awaitReady is false where the push ended before.
func (r *relay) awaitReady(ctx context.Context) bool {
	select {
	case <-r.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// close ends the requests that still run: they have no client any more.
func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel(nil)
}

// needsMore reports, once, whether the daemon has to push again.
func (r *relay) needsMore() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	again := r.again
	r.again = false
	return again
}

// refuse answers with an error of the specification ("error codes").
func refuse(w http.ResponseWriter, status int, code, message string) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]problem{"errors": {{code, message}}}) // the client may be gone
}

// fail answers a request that err kept from being done. An error of the image's
// holder is its own to mend, and a blob that the registry has lost meanwhile is
// the source's; any other has been retried and ends the push.
func (r *relay) fail(w http.ResponseWriter, err error) {
	if !errors.Is(err, registry.ErrSource) && !errors.Is(err, registry.ErrBlobUnknown) && !errors.Is(err, context.Canceled) {
		r.mu.Lock()
		if r.err == nil {
			r.err = err
		}
		r.mu.Unlock()
		r.cancel(err)
	}
	refuse(w, http.StatusInternalServerError, "UNKNOWN", printable.Clean(err.Error()))
}

// statBlob asks the real registry for a blob, under this name or any other.
func (r *relay) statBlob(w http.ResponseWriter, req *http.Request) {
	d, err := digest.Parse(req.PathValue("digest"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "no digest")
		return
	}
	found, err := r.find(req.Context(), d)
	switch {
	case err != nil:
		r.fail(w, err)
	case found.Digest == "":
		w.WriteHeader(http.StatusNotFound)
	default:
		if !r.isLost(d) && !r.standIns.fresh(d) {
			r.exists(found.Digest, found.Size)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(found.Size, 10))
		w.Header().Set("Docker-Content-Digest", d.String())
	}
}

// find looks in the destination and, for a layer that another one may have,
// there. (An upload whose digest is known looks by itself; a layer that moby
// compresses once more has none.)
func (r *relay) find(ctx context.Context, d digest.Digest) (ocispec.Descriptor, error) {
	if r.isLost(d) { // asked for right after it was sent
		return ocispec.Descriptor{Digest: d, Size: 1}, nil
	}
	if layer, sent := r.standIns.sent(d); sent { // likewise
		return ocispec.Descriptor{Digest: d, Size: layer.size}, nil
	}
	if found, err := r.standIns.find(d); err != nil || found.Digest != "" {
		return found, err
	}
	found, err := r.push.repo().Stat(ctx, repo.Blobs, d.String())
	if err != nil || found.Digest != "" || !r.sentBefore[d] {
		return found, err
	}
	if mounted, err := r.push.mount(ctx, d); err != nil || !mounted {
		return ocispec.Descriptor{}, err
	}
	return r.push.repo().Stat(ctx, repo.Blobs, d.String())
}

// exists tells, once, of a blob that need not be sent.
func (r *relay) exists(d digest.Digest, size int64) {
	r.mu.Lock()
	told := r.told[d]
	r.told[d] = true
	r.mu.Unlock()
	if !told {
		r.push.done(&image.Blob{Name: d.String(), Digest: d, Size: size}, image.Sent{Digest: d, Size: size}, registry.StatusExists)
	}
}

func (r *relay) startUpload(w http.ResponseWriter, _ *http.Request) {
	id := strings.ToLower(rand.Text())
	r.mu.Lock()
	r.sessions[id] = image.Sent{}
	r.mu.Unlock()
	r.accepted(w, id, 0)
}

func (r *relay) accepted(w http.ResponseWriter, id string, size int64) {
	w.Header().Set("Location", "/v2/"+r.repository+"/blobs/uploads/"+id)
	w.Header().Set("Docker-Upload-UUID", id)
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(size-1, 0)))
	w.WriteHeader(http.StatusAccepted)
}

// session is what an upload became so far; its digest is empty before the
// first byte.
func (r *relay) session(id string) (image.Sent, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, ok := r.sessions[id]
	return sent, ok
}

// streamUpload passes on a blob whose digest comes at its end: moby sends a
// layer while it compresses it, in one request.
func (r *relay) streamUpload(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("id")
	sent, known := r.session(id)
	switch {
	case !known:
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	case sent.Digest != "":
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "an upload is one request")
		return
	}
	data, whole, err := head(req.Body)
	if err != nil {
		r.fail(w, fmt.Errorf("%w: %w", registry.ErrSource, err))
		return
	}
	begins := beginning(data)
	if !whole && r.standIns.mayBe(begins) {
		r.breakOff(w, req, id)
		return
	}
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), req.Body))
	sent, err = r.passOn(req, r.nameless())
	switch {
	case errors.Is(err, content.ErrPassed):
		err = r.drop(req, id)
	case err == nil:
		r.standIns.addWhole(sent.Digest, wholeLayer{sent.Size, begins})
	}
	if err != nil {
		r.fail(w, err)
		return
	}
	r.mu.Lock()
	r.sessions[id] = sent
	r.mu.Unlock()
	r.accepted(w, id, sent.Size)
}

// nameless is a blob of which nothing is known beforehand but that it is the
// next one.
func (r *relay) nameless() *image.Blob {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streamed++
	return &image.Blob{Name: fmt.Sprintf("upload %d", r.streamed)}
}

// breakOff has enough of a layer; see standin.go.
func (r *relay) breakOff(w http.ResponseWriter, req *http.Request, id string) {
	r.mu.Lock()
	r.broken[id] = true
	r.mu.Unlock()
	if err := breakOff(w, req, "/v2/"+r.repository+"/blobs/uploads/"+id, id); err != nil {
		r.push.debug(req.Context(), "break off a layer", err)
	}
}

// commitUpload ends a streamed upload, or takes a whole one: containerd knows
// what it sends.
func (r *relay) commitUpload(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("id")
	sent, known := r.session(id)
	d, err := digest.Parse(req.URL.Query().Get("digest"))
	r.mu.Lock()
	broken, dropped := r.broken[id], r.dropped[id]
	r.mu.Unlock()
	switch {
	case broken && err == nil:
		r.standIns.add(d)
		sent.Digest = d
	case dropped && err == nil:
		sent.Digest = d
	case !known:
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "no such upload")
		return
	case err == nil && sent.Digest == "" && req.ContentLength >= 0:
		sent, err = r.passOn(req, &image.Blob{Name: d.String(), Digest: d, Size: req.ContentLength})
		if dropped = errors.Is(err, content.ErrPassed); dropped {
			sent.Digest, err = d, r.drop(req, id)
		} else if err == nil {
			r.standIns.addWhole(d, wholeLayer{size: sent.Size})
		}
		if err != nil {
			r.fail(w, err)
			return
		}
	}
	if err != nil || d != sent.Digest {
		refuse(w, http.StatusBadRequest, "DIGEST_INVALID", "the digest is not that of the content")
		return
	}
	r.mu.Lock()
	delete(r.sessions, id)
	switch {
	case dropped:
		r.lost[d] = true
	case !broken: // the digest of one that was may be that of the whole layer
		r.told[d] = true
	}
	r.mu.Unlock()
	w.Header().Set("Location", "/v2/"+r.repository+"/blobs/"+d.String())
	w.Header().Set("Docker-Content-Digest", d.String())
	w.WriteHeader(http.StatusCreated)
}

// drop notes that the registry did not get an upload, of which the beginning is
// needed again. The daemon, which would not send it again by itself, or not
// soon, sends the rest, and is asked to push once more.
func (r *relay) drop(req *http.Request, id string) error {
	r.mu.Lock()
	r.dropped[id], r.keep = true, true
	r.mu.Unlock()
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	return nil
}

func (r *relay) isLost(d digest.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost[d]
}

// keeps reports whether a copy of blobs is kept: only after one was needed.
func (r *relay) keeps() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keep
}

// passOn sends the body of a request to the real registry as a blob, reading
// it to its end also where the registry turns out to have it.
func (r *relay) passOn(req *http.Request, blob *image.Blob) (image.Sent, error) {
	ctx := req.Context()
	if err := r.push.gate.acquire(ctx); err != nil {
		return image.Sent{}, err
	}
	defer r.push.gate.release()
	var passing document
	body := io.TeeReader(req.Body, &passing)
	open := func() (io.ReadCloser, error) { return io.NopCloser(body), nil }
	var c passage = content.NewWindow(announced(blob))
	if r.keeps() {
		c = content.NewSpool(announced(blob))
		// Otherwise the registry alone compares, as with the daemon's own push:
		// here it would cost a quarter of the processor time.
		if blob.Digest != "" {
			open = func() (io.ReadCloser, error) { return io.NopCloser(content.Verified(body, announced(blob))), nil }
		}
	}
	if err := r.push.sendThrough(ctx, c, blob, open, func() {}); err != nil {
		return image.Sent{}, err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return image.Sent{}, fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	r.push.mu.Lock()
	sent := r.push.sent[blob.Name]
	r.push.mu.Unlock()
	if int64(len(passing)) == sent.Size {
		r.mu.Lock()
		r.documents[sent.Digest] = passing
		r.mu.Unlock()
	}
	return sent, nil
}

// document keeps what is written to it if that may be a config: a small JSON
// object. Of anything else it stays empty, or incomplete.
type document []byte

// maxDocument bounds it, in bytes. A larger config is read from the registry.
const maxDocument = 256 << 10

func (d *document) Write(p []byte) (int, error) {
	if room := maxDocument - len(*d); len(*d) > 0 || bytes.HasPrefix(p, []byte("{")) {
		*d = append(*d, p[:min(len(p), room)]...)
	}
	return len(p), nil
}

// putManifest passes a manifest on: one of an index by its digest, the one of
// the tag under all tags of the push.
func (r *relay) putManifest(w http.ResponseWriter, req *http.Request) {
	data, err := io.ReadAll(io.LimitReader(req.Body, repo.MaxManifest+1))
	if err != nil {
		r.fail(w, fmt.Errorf("%w: %w", registry.ErrSource, err))
		return
	}
	m, err := image.ParseManifest(response.MediaType(req.Header), data)
	reference := req.PathValue("reference")
	if err != nil || reference != registry.LoopbackTag && reference != m.Descriptor.Digest.String() {
		refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "this is no such manifest")
		return
	}
	if reference == registry.LoopbackTag {
		err = r.putRoot(req.Context(), m)
	} else if !slices.ContainsFunc(m.References, func(d ocispec.Descriptor) bool { return r.isLost(d.Digest) }) {
		if err = r.push.putManifest(req.Context(), m, reference); r.lostMeanwhile(err) {
			r.mu.Lock()
			r.lost[m.Descriptor.Digest] = true
			r.mu.Unlock()
			err = nil
		}
	}
	if err != nil {
		r.fail(w, err)
		return
	}
	if r.forget.Load() && r.hasRoot() {
		refuse(w, http.StatusConflict, "DENIED", "the image has arrived, and this place ends with its push")
		return
	}
	w.Header().Set("Location", "/v2/"+r.repository+"/manifests/"+reference)
	w.Header().Set("Docker-Content-Digest", m.Descriptor.Digest.String())
	w.WriteHeader(http.StatusCreated)
}

// putRoot points the tags of the push at the daemon's manifest, or, where that
// names layers that the registry lacks, has them pushed.
func (r *relay) putRoot(ctx context.Context, m image.Manifest) error {
	resolved, again, err := r.standIns.resolve(ctx, m)
	r.mu.Lock()
	again = again || len(r.lost) > 0
	clear(r.lost)
	r.mu.Unlock()
	if err == nil && !again {
		if err = r.push.putTags(ctx, resolved, r.push.tags); r.lostMeanwhile(err) {
			again, err = true, nil
		}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again = again; !again {
		r.root = &resolved
	}
	return nil
}

// lostMeanwhile reports, once, that a manifest was refused for a blob that the
// registry had when it was asked: another push took away the last tag that led to
// it. The holder then pushes once more, and finds it missing.
func (r *relay) lostMeanwhile(err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.resent || !errors.Is(err, registry.ErrBlobUnknown) {
		return false
	}
	r.resent = true
	return true
}
