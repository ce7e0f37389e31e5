package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// expectSize is the body from which asking first ("Expect: 100-continue") costs
// less than sending in vain.
const expectSize = 64 << 10

// sendBlob brings one blob into the registry. It calls read as soon as the
// source may go on to the next.
func (p *push) sendBlob(ctx context.Context, blob *image.Blob, read func()) error {
	defer read()
	if !blob.Once {
		p.mu.Lock()
		p.lasting[blob.Name] = blob
		p.mu.Unlock()
	}
	p.waiting(blob)
	if blob.Compress {
		if known, err := p.knownLayer(ctx, blob); known || err != nil {
			return err
		}
	}
	if blob.Compress || blob.Once || blob.Digest == "" {
		return p.sendSpooled(ctx, blob, blob.Open, read)
	}
	c := &content.Stored{Open: blob.Open, Digest: blob.Digest, Size: blob.Size}
	sent := image.Sent{Digest: blob.Digest, Size: blob.Size}
	status, err := p.deliver(ctx, blob, c)
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	p.done(blob, sent, status)
	return nil
}

// sendSpooled sends a blob that cannot simply be read again: it comes from a
// stream, or it is compressed on its way. Filling the spool and sending from
// it overlap. What can be opened again is kept only once a copy was needed.
func (p *push) sendSpooled(ctx context.Context, blob *image.Blob, open func() (io.ReadCloser, error), read func()) error {
	if !blob.Once && !p.opts.DryRun && p.ways().chunk == 0 {
		if err := p.sendThrough(ctx, content.NewWindow(announced(blob)), blob, open, read); !errors.Is(err, content.ErrPassed) {
			return err
		}
	}
	return p.sendThrough(ctx, content.NewSpool(announced(blob)), blob, open, read)
}

// announced is what is known of what will be sent for a blob.
func announced(blob *image.Blob) content.Announced {
	if blob.Compress {
		return content.Announced{Size: blob.Size}
	}
	return content.Announced{Digest: blob.Digest, Size: blob.Size}
}

// passage is what a blob goes through: a [content.Spool] or a [content.Window].
type passage interface {
	contents
	content.Sink
	Finish(err error)
	GiveUp()
	Close() error
}

// sendThrough is sendSpooled with a passage of its own, which it closes.
func (p *push) sendThrough(ctx context.Context, c passage, blob *image.Blob, open func() (io.ReadCloser, error), read func()) error {
	fillCtx, stop := context.WithCancel(ctx)
	filled := make(chan error, 1)
	var layer content.Layer
	go func() {
		var err error
		layer, err = p.fill(fillCtx, blob, open, c)
		c.Finish(err)
		read()
		filled <- err
	}()
	status, err := p.deliver(ctx, blob, c)
	stop() // nobody wants the rest, if there is any
	c.GiveUp()
	fillErr := <-filled
	sent := image.Sent{DiffID: layer.DiffID}
	sent.Digest, sent.Size, _ = c.Complete()
	if err == nil && sent.Digest == "" {
		err = fillErr
	}
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	if blob.Compress {
		p.keepLayer(ctx, sent, p.opts.Compression)
		p.keepBeginning(ctx, sent.DiffID, layer.Begins)
		p.keepName(ctx, blob)
	}
	p.done(blob, sent, status)
	return nil
}

// fill reads blob, as open gives it, into c, compressing it if that is asked for.
func (p *push) fill(ctx context.Context, blob *image.Blob, open func() (io.ReadCloser, error), c content.Sink) (content.Layer, error) {
	if !blob.Compress {
		return content.Layer{}, content.Fill(ctx, c, open)
	}
	select {
	case p.compressors <- struct{}{}:
		defer func() { <-p.compressors }()
	case <-ctx.Done():
		return content.Layer{}, ctx.Err()
	}
	return content.Compress(ctx, c, open, p.opts.Compression)
}

// deliver brings c into the registry by whatever way works.
func (p *push) deliver(ctx context.Context, blob *image.Blob, c contents) (registry.Status, error) {
	known, size, ok := c.Complete()
	if !ok {
		// Short content is better sent in one request, with its digest; so is
		// what the registry may have already.
		enough := int64(content.Memory + 1)
		if p.client.cache.Named(p.client.Host(), p.ref.Repository, blob.Name) {
			enough = 1 << 62
		}
		if err := p.await(ctx, blob, c, enough); err != nil {
			return "", err
		}
		known, size, ok = c.Complete()
	}
	switch {
	case p.opts.DryRun:
		return p.wouldSend(ctx, blob, c)
	case !ok:
		size = -1
	case p.held(ctx, known):
		return registry.StatusExists, nil
	}
	return p.upload(ctx, blob, c, known, size)
}

// upload sends c, whose digest and size may not be known yet.
func (p *push) upload(ctx context.Context, blob *image.Blob, c contents, known digest.Digest, size int64) (registry.Status, error) {
	t := &transfer{push: p, blob: blob, content: c, session: p.session(blob, known, size)}
	defer t.session.Release()
	u := begin(known, size, p.info.Retries, p.ways())
	t.limit = u.chunk
	if e, ok := t.session.Known(p.conn.Endpoint()); ok {
		u = u.resume(e.Location, e.Offset)
	}
	u, err := drive(ctx, u, t.attempt, p.client.opts.Backoff, t.retrying)
	if u.slow && u.refusal == nil { // it closes the connection, and does not say why
		u.refusal = t.ended(http.StatusRequestTimeout, u.lastTook)
	}
	p.learn(ctx, u, t)
	if u.step == stepDone && !u.present {
		u.location = "" // the session has become the blob
	}
	if u.location == "" || !t.leave(ctx, u, err) {
		if forgetErr := t.session.Forget(); forgetErr != nil {
			p.debug(ctx, "forget upload session", forgetErr)
		}
	}
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return "", err
		}
		d, size, _ := c.Complete()
		return "", &registry.UploadError{Name: blob.Name, Digest: d, Size: size, Attempts: u.tries, Err: err}
	}
	if u.present {
		return registry.StatusExists, nil
	}
	return registry.StatusPushed, nil
}

// awaitStep is how much is awaited between two events.
const awaitStep = 256 << 10

// await waits for n bytes of the content, or all that there are, and tells how
// far a layer is compressed by then.
func (p *push) await(ctx context.Context, blob *image.Blob, c contents, n int64) error {
	for want := min(awaitStep, n); ; want = min(want+awaitStep, n) {
		available, err := c.Wait(ctx, want)
		if err != nil {
			return err
		}
		if blob.Compress {
			consumed, _ := c.Progress()
			p.emit(registry.Event{Name: blob.Name, ID: shortID(blob), Status: registry.StatusCompressing, Current: consumed, Total: blob.Size})
		}
		if available < want || want == n {
			return nil
		}
	}
}

// session is that of a blob whose digest is known, or else the diff ID of
// which, with the kind of compression, decides the digest.
func (p *push) session(blob *image.Blob, known digest.Digest, size int64) *cache.Session {
	name := known.String()
	if name == "" && blob.Digest != "" {
		name = blob.Digest.String() + " " + p.opts.Compression.String()
	}
	return p.client.cache.Session(p.client.Host(), p.ref.Repository, name, size)
}

// ways are what is known of the registry by now.
func (p *push) ways() ways { return p.client.limits.blobs(p.opts.ChunkSize) }

// ended is the answer that something did not give which closed the connection
// of t instead. Its name is that which the other answers came with.
func (t *transfer) ended(status int, after time.Duration) *registry.Error {
	e := &registry.Error{URL: t.push.repo().StartAddress(nil), Status: status, After: after, By: registry.BySomebody, Server: t.server}
	e.Kind = response.ClassifyForeign(e)
	return e
}

// learn keeps what an upload found out, for the next ones.
func (p *push) learn(ctx context.Context, u upload, t *transfer) {
	limit := p.client.limits.learn(u, p.gate.size())
	if found, fresh := p.client.limits.fresh(); fresh {
		if err := p.client.cache.KeepHost(p.client.Host(), found, time.Now()); err != nil {
			p.debug(ctx, "remember how the registry takes blobs", err)
		}
	}
	if limit {
		if u.refusal == nil && t.server != "" {
			u.refusal = t.ended(http.StatusRequestEntityTooLarge, 0)
		}
		d := registry.Diagnose(u.refusal)
		if d.Cause == "" {
			d = registry.Diagnosis{Cause: "something in front of the registry ends large requests", Hint: "look for its limit on request bodies, and its timeouts"}
		}
		fewer := ""
		if u.slow {
			fewer = fmt.Sprintf(", %d at a time", p.gate.size())
		}
		p.note("%s; sending parts of at most %d MiB%s (%s)", d.Cause, u.chunk>>20, fewer, d.Hint)
	}
}

// transfer performs the steps of one blob's upload.
type transfer struct {
	push    *push
	blob    *image.Blob
	content contents
	session *cache.Session
	server  string // as the last answer that told has it
	limit   int64  // on the bodies of the last try
}

// retrying tells of a new try. That a limit is being looked for is told once in
// a push, before the note that gives it.
func (t *transfer) retrying(u upload, wait time.Duration) {
	t.push.retries.Add(1)
	smaller := u.chunk != t.limit
	if smaller && u.slow {
		t.push.gate.narrow()
	}
	if t.limit = u.chunk; smaller && u.refusal != nil && t.push.refused.Swap(true) {
		return
	}
	t.event(registry.StatusRetrying, registry.Event{Wait: wait, Err: u.err})
}

func (t *transfer) event(status registry.Status, e registry.Event) {
	_, size, known := t.content.Complete()
	e.Name, e.ID, e.Status, e.Total = t.blob.Name, shortID(t.blob), status, size
	if _, estimate := t.content.Progress(); !known && estimate > 0 {
		e.Total, e.Estimated = max(estimate, e.Current), true
	}
	t.push.emit(e)
}

// attempt is one step of the upload machine: one request.
func (t *transfer) attempt(ctx context.Context, u upload) outcome {
	if u.location != "" && u.step != stepAbandon {
		if err := t.session.Keep(t.push.conn.Endpoint(), cache.Entry{Location: u.location, Offset: u.offset}); err != nil {
			t.push.debug(ctx, "remember upload session", err)
		}
	}
	switch u.step {
	case stepSingle:
		address := t.push.repo().StartAddress(url.Values{"mount": {u.digest.String()}, "digest": {u.digest.String()}})
		return t.send(ctx, u, http.MethodPost, address, 0, u.size)
	case stepStart:
		query := url.Values{}
		if u.digest != "" && u.size >= 0 {
			query.Set("mount", u.digest.String())
		}
		ctx, cancel := repo.Lingering(ctx)
		defer cancel()
		return t.request(ctx, u, http.MethodPost, t.push.repo().StartAddress(query))
	case stepStream:
		return t.send(ctx, u, http.MethodPatch, u.location, 0, -1)
	case stepChunk:
		return t.chunk(ctx, u)
	case stepCommit:
		return t.send(ctx, u, http.MethodPut, repo.WithDigest(u.location, u.digest), u.offset, u.size-u.offset)
	case stepQuery:
		return t.request(ctx, u, http.MethodGet, u.location)
	case stepVerify:
		return t.verify(ctx, u)
	case stepAbandon:
		return t.request(ctx, u, http.MethodDelete, u.location)
	case stepDone, stepFailed:
	}
	return outcome{held: -1, size: -1}
}

// chunk sends as much as one request may hold.
func (t *transfer) chunk(ctx context.Context, u upload) outcome {
	most := int64(1) << 62
	if u.chunk > 0 {
		most = u.offset + u.part()
	}
	available, err := t.content.Wait(ctx, most)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	n := min(available, most) - u.offset
	if n <= 0 {
		return t.known(outcome{status: http.StatusAccepted, held: -1})
	}
	return t.send(ctx, u, http.MethodPatch, u.location, u.offset, n)
}

// send performs a request with length bytes of the content from offset as its
// body; -1 is all that there will be.
func (t *transfer) send(ctx context.Context, u upload, method, address string, offset, length int64) outcome {
	if length == 0 {
		return t.request(ctx, u, method, address)
	}
	request, cancel := repo.Lingering(ctx)
	defer cancel()
	reading, stop := context.WithCancel(request)
	defer stop()
	var asked, told atomic.Bool // by "Expect: 100-continue"
	request = httptrace.WithClientTrace(request, &httptrace.ClientTrace{
		Wait100Continue: func() { asked.Store(true) },
		Got100Continue:  func() { told.Store(true) },
	})
	if u.step == stepSingle {
		// A registry that does not know it begins a session instead. A body
		// that ended with the push would take the connection with it, and the
		// answer. Only who says "100 Continue" begins no session.
		request = httptrace.WithClientTrace(request, &httptrace.ClientTrace{
			Got100Continue: func() { context.AfterFunc(ctx, stop) },
		})
	} else {
		defer context.AfterFunc(ctx, stop)()
	}
	var read atomic.Int64
	open := func() *body {
		read.Store(0)
		limit := length
		if u.size >= 0 && offset+length == u.size {
			limit = -1 // to the end, where the source verifies itself
		}
		return newBody(reading, t.content.Reader(reading, offset), length, limit, func(n int) {
			if read.Add(int64(n)) == int64(n) && asked.Load() && !told.Load() {
				t.push.client.limits.unexpecting()
			}
			t.push.info.Silence.Moved()
			t.event(registry.StatusPushing, registry.Event{Current: offset + read.Load()})
		})
	}
	first := open()
	bodies := []*body{first}
	req, err := http.NewRequestWithContext(request, method, address, first)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	req.GetBody = func() (io.ReadCloser, error) {
		b := open()
		bodies = append(bodies, b)
		return b, nil
	}
	req.ContentLength = length
	// Gitea parses a body sent as a form and answers DIGEST_INVALID.
	req.Header.Set("Content-Type", "application/octet-stream")
	if (length > expectSize || length < 0) && !u.noExpect && t.push.client.limits.expects() {
		req.Header.Set("Expect", "100-continue")
	}
	if u.step == stepChunk {
		// Spec: pushing a blob in chunks. The range has no unit.
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+length-1))
	}
	start := time.Now()
	o := t.perform(u, req)
	o.took = time.Since(start)
	if answer, ok := errors.AsType[*registry.Error](o.err); ok {
		answer.After = o.took
	}
	cancel()
	stop()
	for _, b := range bodies {
		<-b.released
	}
	o.sent = read.Load()
	o.body = max(length, o.sent)
	t.push.bytesSent.Add(o.sent)
	return t.known(o)
}

// request performs a request without a body.
func (t *transfer) request(ctx context.Context, u upload, method, address string) outcome {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	return t.known(t.perform(u, req))
}

// known adds what the content has become by now.
func (t *transfer) known(o outcome) outcome {
	var ok bool
	if o.digest, o.size, ok = t.content.Complete(); !ok {
		o.size = -1
	}
	return o
}

// perform does the request and reads the answer into an outcome.
func (t *transfer) perform(u upload, req *http.Request) outcome {
	o := outcome{held: -1}
	resp, err := t.push.conn.Once(req)
	if err != nil {
		o.err = fmt.Errorf("%s: %w", u.step, err)
		if errors.Is(err, registry.ErrBusy) {
			t.push.gate.narrow()
		}
		return o
	}
	defer response.Drain(resp)
	t.server = cmp.Or(printable.Clean(resp.Header.Get("Server")), t.server)
	o.status = resp.StatusCode
	o.held = repo.HeldBytes(resp.Header.Get("Range"))
	o.minChunk, _ = strconv.ParseInt(resp.Header.Get("OCI-Chunk-Min-Length"), 10, 64) // absent is zero
	if resp.StatusCode >= http.StatusMultipleChoices {
		o.err = response.Error(u.step.String(), req, resp)
		if resp.StatusCode == http.StatusInternalServerError {
			t.push.gate.narrow()
		}
		return o
	}
	if location := resp.Header.Get("Location"); location != "" {
		if o.location, err = repo.ResolveLocation(req.URL, location); err != nil {
			return outcome{err: fmt.Errorf("%s: %w", u.step, err), held: -1}
		}
	}
	o.doubt = response.Unproven(u.step.String(), req, resp, "the answer names no digest")
	if d, _, ok := t.content.Complete(); ok && u.step.ends() && resp.StatusCode != http.StatusAccepted {
		o.named = response.Names(resp, d)
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && !o.named {
			o.status, o.err = 0, fmt.Errorf("%w: sent %s, the registry has %s", registry.ErrDigestMismatch, d, printable.Clean(got))
		}
	}
	return o
}

// leave decides about the session of an upload that ended with err, or turned
// out not to be needed, and reports whether it is still there for another
// process. One that holds nothing, or that nobody would find, is removed.
func (t *transfer) leave(ctx context.Context, u upload, err error) bool {
	_, remembered := t.session.Known(t.push.conn.Endpoint())
	if remembered && err != nil && u.offset > 0 && outlasts(ctx, err) {
		return true
	}
	answered, err := t.push.repo().Cancel(ctx, u.location, u.retries)
	if err != nil {
		t.push.debug(ctx, "remove upload session", err)
	}
	return !answered && remembered
}

// outlasts reports whether an upload that ended with err should go on in
// another process: the network failed, or the server did, or a time limit was
// reached. A user's interrupt is none of these, nor is a failure for good.
func outlasts(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		err = context.Cause(ctx) // that of another blob, perhaps
	}
	return errors.Is(err, context.DeadlineExceeded) || registry.Temporary(err)
}
