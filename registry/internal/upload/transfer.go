package upload

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

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// transfer performs the steps of one job.
type transfer struct {
	Job
	server string // as the last answer that told has it
	limit  int64  // on the bodies of the last try
}

// retrying tells of a new try. That a limit is being looked for is told once in
// a push, before the note that gives it.
func (t *transfer) retrying(u upload, wait time.Duration) {
	t.Observer.Retried()
	smaller := u.chunk != t.limit
	if smaller && u.slow || u.crowded {
		t.Observer.Narrow()
	}
	if t.limit = u.chunk; smaller && u.refusal != nil && t.Observer.Refused() {
		return
	}
	t.event(registry.StatusRetrying, registry.Event{Wait: wait, Err: u.err})
}

func (t *transfer) turn(ctx context.Context) error { return t.Observer.Turn(ctx) }

func (t *transfer) event(status registry.Status, e registry.Event) {
	_, size, known := t.Content.Complete()
	e.Status, e.Total = status, size
	if _, estimate := t.Content.Progress(); !known && estimate > 0 {
		e.Total, e.Estimated = max(estimate, e.Current), true
	}
	t.Observer.Event(e)
}

// attempt is one step of the upload machine: one request.
func (t *transfer) attempt(ctx context.Context, u upload) outcome {
	if u.location != "" && u.step != stepAbandon {
		t.Session.Keep(t.Repo.Conn.Endpoint(), cache.Entry{Location: u.location, Offset: u.offset})
	}
	switch u.step {
	case stepSingle:
		address := t.Repo.StartAddress(url.Values{"mount": {u.digest.String()}, "digest": {u.digest.String()}})
		return t.send(ctx, u, parcel{http.MethodPost, address, 0, u.size})
	case stepStart:
		query := url.Values{}
		if u.digest != "" && u.size >= 0 {
			query.Set("mount", u.digest.String())
		}
		ctx, cancel := repo.Lingering(ctx)
		defer cancel()
		return t.request(ctx, u, http.MethodPost, t.Repo.StartAddress(query))
	case stepStream:
		return t.send(ctx, u, parcel{http.MethodPatch, u.location, 0, -1})
	case stepChunk:
		return t.chunk(ctx, u)
	case stepCommit:
		return t.send(ctx, u, parcel{http.MethodPut, repo.WithDigest(u.location, u.digest), u.offset, u.size - u.offset})
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
	available, err := t.Content.Wait(ctx, most)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	n := min(available, most) - u.offset
	if n <= 0 {
		return t.known(outcome{status: http.StatusAccepted, held: -1})
	}
	return t.send(ctx, u, parcel{http.MethodPatch, u.location, u.offset, n})
}

// expectSize is the body from which asking first ("Expect: 100-continue") costs
// less than sending in vain.
const expectSize = 64 << 10

// parcel is a request that carries a part of the content.
type parcel struct {
	method, address string
	// offset and length are of the content; a length of -1 is all that there will be.
	offset, length int64
}

// send performs the request of a parcel.
func (t *transfer) send(ctx context.Context, u upload, p parcel) outcome {
	if p.length == 0 {
		return t.request(ctx, u, p.method, p.address)
	}
	request, cancel := repo.Lingering(ctx)
	defer cancel()
	reading, stop := context.WithCancel(request)
	defer stop()
	l := &loading{transfer: t, parcel: p, reading: reading, whole: u.size >= 0 && p.offset+p.length == u.size}
	request = l.trace(request)
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
	req, err := http.NewRequestWithContext(request, p.method, p.address, l.open())
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	req.GetBody = func() (io.ReadCloser, error) { return l.open(), nil }
	req.ContentLength = p.length
	// Gitea parses a body sent as a form and answers DIGEST_INVALID.
	req.Header.Set("Content-Type", "application/octet-stream")
	if (p.length > expectSize || p.length < 0) && !u.begun() && !u.noExpect && t.Limits.expects() {
		req.Header.Set("Expect", "100-continue")
	}
	if u.step == stepChunk {
		// Spec: pushing a blob in chunks. The range has no unit.
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", p.offset, p.offset+p.length-1))
	}
	start := time.Now()
	o := t.perform(u, req)
	o.took = time.Since(start)
	if answer, ok := errors.AsType[*registry.Error](o.err); ok {
		answer.After = o.took
	}
	cancel()
	stop()
	o.sent = l.unload()
	o.body = max(p.length, o.sent)
	t.Observer.Sent(o.sent)
	return t.known(o)
}

// loading is a parcel on its way. The transport may open its body more than once.
type loading struct {
	parcel
	transfer *transfer
	// reading is the context of the bodies.
	reading context.Context //nolint:containedctx // of one request
	// whole: it goes to the end, where the source verifies itself.
	whole       bool
	asked, told atomic.Bool // by "Expect: 100-continue"
	read        atomic.Int64
	bodies      []*body
}

// trace notes whether the registry was asked, and has answered, before the body.
func (l *loading) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Wait100Continue: func() { l.asked.Store(true) },
		Got100Continue:  func() { l.told.Store(true) },
	})
}

// open gives the body from its beginning.
func (l *loading) open() *body {
	l.read.Store(0)
	limit := l.length
	if l.whole {
		limit = -1
	}
	content := l.transfer.Limits.rate.reader(l.reading, l.transfer.Content.Reader(l.reading, l.offset))
	b := newBody(l.reading, content, l.length, limit, l.moved)
	l.bodies = append(l.bodies, b)
	return b
}

// moved tells of n bytes that were read.
func (l *loading) moved(n int) {
	if l.read.Add(int64(n)) == int64(n) && l.asked.Load() && !l.told.Load() {
		l.transfer.Limits.unexpecting()
	}
	l.transfer.Info.Silence.Moved()
	l.transfer.event(registry.StatusPushing, registry.Event{Current: l.offset + l.read.Load()})
}

// unload waits until the transport has let go of all bodies, and returns how many
// bytes of the last were read.
func (l *loading) unload() int64 {
	for _, b := range l.bodies {
		<-b.released
	}
	return l.read.Load()
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
	if o.digest, o.size, ok = t.Content.Complete(); !ok {
		o.size = -1
	}
	return o
}

// perform does the request and reads the answer into an outcome.
func (t *transfer) perform(u upload, req *http.Request) outcome {
	o := outcome{held: -1}
	resp, err := t.Repo.Conn.Once(req)
	if err != nil {
		o.err = fmt.Errorf("%s: %w", u.step, err)
		if errors.Is(err, registry.ErrBusy) {
			t.Observer.Narrow()
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
			t.Observer.Narrow()
		}
		return o
	}
	if location := resp.Header.Get("Location"); location != "" {
		if o.location, err = repo.ResolveLocation(req.URL, location); err != nil {
			return outcome{err: fmt.Errorf("%s: %w", u.step, err), held: -1}
		}
	}
	o.doubt = response.Unproven(u.step.String(), req, resp, "the answer names no digest")
	if d, _, ok := t.Content.Complete(); ok && u.step.ends() && resp.StatusCode != http.StatusAccepted {
		o.named = response.Names(resp, d)
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && !o.named {
			o.status, o.err = 0, fmt.Errorf("%w: sent %s, the registry has %s", registry.ErrDigestMismatch, d, printable.Clean(got))
		}
	}
	return o
}
