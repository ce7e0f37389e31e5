package push

import (
	"context"
	"errors"
	"io"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/content"
	"github.com/docker-gitea/docker-gitea/registry/internal/upload"
)

// sendBlob brings one blob into the registry. It calls read as soon as the
// source may go on to the next.
func (p *push) sendBlob(ctx context.Context, blob *image.Blob, read func()) error {
	defer read()
	if !blob.Once {
		p.record.keep(blob)
	}
	p.record.waiting(blob)
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
	p.record.done(blob, sent, status)
	return nil
}

// sendSpooled sends a blob that cannot simply be read again: it comes from a
// stream, or it is compressed on its way. Filling the spool and sending from
// it overlap. What can be opened again is kept only once a copy was needed.
func (p *push) sendSpooled(ctx context.Context, blob *image.Blob, open func() (io.ReadCloser, error), read func()) error {
	if !blob.Once && !p.opts.DryRun && !p.parted() {
		if _, err := p.sendThrough(ctx, content.NewWindow(announced(blob)), blob, open, read); !errors.Is(err, content.ErrPassed) {
			return err
		}
	}
	_, err := p.sendThrough(ctx, content.NewSpool(announced(blob)), blob, open, read)
	return err
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
	upload.Content
	content.Sink
	Finish(err error)
	GiveUp()
	Close() error
}

// sendThrough is sendSpooled with a passage of its own, which it closes. It returns
// what was sent.
func (p *push) sendThrough(ctx context.Context, c passage, blob *image.Blob, open func() (io.ReadCloser, error), read func()) (image.Sent, error) {
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
		return image.Sent{}, err
	}
	if blob.Compress {
		p.keepLayer(ctx, sent, p.opts.Compression)
		p.keepBeginning(ctx, sent.DiffID, layer.Begins)
		p.keepName(ctx, blob)
	}
	p.record.done(blob, sent, status)
	return sent, nil
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
func (p *push) deliver(ctx context.Context, blob *image.Blob, c upload.Content) (registry.Status, error) {
	known, size, ok := c.Complete()
	if !ok {
		// Short content is better sent in one request, with its digest; so is
		// what the registry may have already.
		enough := int64(content.Memory + 1)
		if p.env.Cache.Named(p.env.Host, p.ref.Repository, blob.Name) {
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
func (p *push) upload(ctx context.Context, blob *image.Blob, c upload.Content, known digest.Digest, size int64) (registry.Status, error) {
	job := upload.Job{
		Repo: p.repo(), Name: blob.Name, Content: c, Digest: known, Size: size, Session: p.session(blob, known, size),
		Limits: p.env.Limits, Part: p.opts.ChunkSize, Info: p.info, Observer: observer{p, blob},
	}
	present, err := job.Run(ctx)
	switch {
	case err != nil:
		return "", err
	case present:
		return registry.StatusExists, nil
	}
	return registry.StatusPushed, nil
}

// observer hears of the upload of a blob; it implements [upload.Observer].
type observer struct {
	push *push
	blob *image.Blob
}

func (o observer) Event(e registry.Event) {
	e.Name, e.ID = o.blob.Name, shortID(o.blob)
	o.push.record.emit(e)
}

func (o observer) Note(text string) { o.push.record.note("%s", text) }

func (o observer) Debug(ctx context.Context, what string, err error) { o.push.debug(ctx, what, err) }

func (o observer) Sent(bytes int64) { o.push.record.bytesSent.Add(bytes) }

func (o observer) Retried() { o.push.record.retries.Add(1) }

func (o observer) Refused() (before bool) { return o.push.record.refused.Swap(true) }

func (o observer) Narrow() { o.push.gate.narrow() }

func (o observer) Width() int { return o.push.gate.size() }

// awaitStep is how much is awaited between two events.
const awaitStep = 256 << 10

// await waits for n bytes of the content, or all that there are, and tells how
// far a layer is compressed by then.
func (p *push) await(ctx context.Context, blob *image.Blob, c upload.Content, n int64) error {
	for want := min(awaitStep, n); ; want = min(want+awaitStep, n) {
		available, err := c.Wait(ctx, want)
		if err != nil {
			return err
		}
		if blob.Compress {
			consumed, _ := c.Progress()
			p.record.emit(registry.Event{Name: blob.Name, ID: shortID(blob), Status: registry.StatusCompressing, Current: consumed, Total: blob.Size})
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
	return p.env.Cache.Session(p.env.Host, p.ref.Repository, name, size)
}

// parted reports whether something limits the body of a request, by all that is known
// now: then a part is sent once all of it is there.
func (p *push) parted() bool { return p.env.Limits.Part(p.opts.ChunkSize) > 0 }
