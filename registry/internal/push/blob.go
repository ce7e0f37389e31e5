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
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/upload"
)

// sending is one blob on its way into the registry.
type sending struct {
	push *push
	blob *image.Blob
	// open gives its bytes; those of a raw layer are not compressed yet.
	open func() (io.ReadCloser, error)
	// read is called as soon as the source may go on to the next blob.
	read func()
	// known is what the cache has of it.
	known cache.Answer
}

func (p *push) sending(blob *image.Blob, open func() (io.ReadCloser, error), read func()) *sending {
	q := cache.Question{Host: p.env.Host, Repository: p.ref.Repository, Digest: blob.Digest}
	switch {
	case blob.Digest == "":
		q.Name = blob.Name
	case blob.Compress:
		q.Digest, q.DiffID, q.Form = "", blob.Digest, p.opts.Compression
	}
	return &sending{push: p, blob: blob, open: open, read: read, known: p.env.Cache.Ask(q)}
}

// sendBlob brings one blob into the registry. It calls read as soon as the
// source may go on to the next.
func (p *push) sendBlob(ctx context.Context, blob *image.Blob, read func()) error {
	defer read()
	if !blob.Once {
		p.record.keep(blob)
	}
	p.record.waiting(blob)
	if !blob.Compress && !blob.Once && p.env.Batch.has(p.ref.Repository, blob.Digest) {
		p.record.done(blob, image.Sent{Digest: blob.Digest, Size: blob.Size}, registry.StatusExists)
		return nil
	}
	s := p.sending(blob, blob.Open, read)
	if s.known.Layer.Digest != "" {
		if there, err := s.isThere(ctx); there || err != nil {
			return err
		}
	}
	if blob.Compress || blob.Once || blob.Digest == "" {
		return s.spooled(ctx)
	}
	return s.stored(ctx, &content.Stored{Open: blob.Open, Digest: blob.Digest, Size: blob.Size})
}

// isThere reports whether the registry has a raw layer in the form that it took
// the last time. If so, nothing is compressed.
func (s *sending) isThere(ctx context.Context) (there bool, err error) {
	p, layer := s.push, s.known.Layer
	if p.opts.DryRun {
		there, err = p.repo().Exists(ctx, repo.Blobs, layer.Digest)
	} else {
		there, err = p.mountFrom(ctx, layer.Digest, s.known.Holder)
	}
	if err != nil { // the question only saves work
		p.debug(ctx, "find layer", err)
		return false, ctx.Err()
	}
	if !there {
		return false, nil
	}
	sent := image.Sent{Digest: layer.Digest, Size: layer.Size, DiffID: s.blob.Digest}
	p.rememberLayer(ctx, s.blob, sent, "", registry.StatusExists)
	p.record.done(s.blob, sent, registry.StatusExists)
	return true, nil
}

// stored sends a blob that can be opened again.
func (s *sending) stored(ctx context.Context, c *content.Stored) error {
	status, err := s.deliver(ctx, c)
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	s.push.record.done(s.blob, image.Sent{Digest: c.Digest, Size: c.Size}, status)
	return nil
}

// spooled sends a blob that cannot simply be read again: it comes from a
// stream, or it is compressed on its way. Filling the spool and sending from it
// overlap. A blob that can be opened again is kept only after a copy turned out
// to be needed.
func (s *sending) spooled(ctx context.Context) error {
	if !s.blob.Once && !s.push.opts.DryRun && !s.push.parted() {
		if _, err := s.through(ctx, content.NewWindow(announced(s.blob))); !errors.Is(err, content.ErrPassed) {
			return err
		}
	}
	_, err := s.through(ctx, content.NewSpool(announced(s.blob)))
	return err
}

// announced is what is known beforehand of the bytes that are sent for a blob.
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

// through sends a blob through c, closes c, and returns what was sent.
func (s *sending) through(ctx context.Context, c passage) (image.Sent, error) {
	fillCtx, stop := context.WithCancel(ctx)
	filled := make(chan error, 1)
	var layer content.Layer
	go func() {
		var err error
		layer, err = s.fill(fillCtx, c)
		c.Finish(err)
		s.read()
		filled <- err
	}()
	status, err := s.deliver(ctx, c)
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
	if s.blob.Compress {
		s.push.rememberLayer(ctx, s.blob, sent, layer.Begins, status)
	}
	s.push.record.done(s.blob, sent, status)
	return sent, nil
}

// fill reads the blob into c, compressing it if that is asked for.
func (s *sending) fill(ctx context.Context, c content.Sink) (content.Layer, error) {
	if !s.blob.Compress {
		return content.Layer{}, content.Fill(ctx, c, s.open)
	}
	select {
	case s.push.compressors <- struct{}{}:
		defer func() { <-s.push.compressors }()
	case <-ctx.Done():
		return content.Layer{}, ctx.Err()
	}
	return content.Compress(ctx, c, s.open, s.push.opts.Compression)
}

// deliver brings c into the registry by whatever way works.
func (s *sending) deliver(ctx context.Context, c upload.Content) (registry.Status, error) {
	p := s.push
	d, size, ok := c.Complete()
	if !ok {
		// One request, with the digest, is better for short content, and for
		// content that the registry may have already.
		enough := int64(content.Memory + 1)
		if s.known.Named {
			enough = 1 << 62
		}
		if err := s.await(ctx, c, enough); err != nil {
			return "", err
		}
		d, size, ok = c.Complete()
	}
	switch {
	case p.opts.DryRun:
		return s.wouldSend(ctx, c)
	case !ok:
		size = -1
	case p.held(ctx, d, s.holder(d)):
		return registry.StatusExists, nil
	}
	return s.upload(ctx, c, d, size)
}

// holder is the repository that may have the blob with digest d.
func (s *sending) holder(d digest.Digest) string {
	if !s.blob.Compress && d == s.blob.Digest {
		return s.known.Holder
	}
	return s.push.holder(d)
}

// upload sends c, whose digest and size may not be known yet.
func (s *sending) upload(ctx context.Context, c upload.Content, d digest.Digest, size int64) (registry.Status, error) {
	p := s.push
	sampled := &sampled{Content: c}
	if !s.blob.Compress {
		c = sampled
	}
	present, err := upload.Job{
		Repo: p.repo(), Name: s.blob.Name, Content: c, Digest: d, Size: size, Session: s.session(d, size),
		Limits: p.env.Limits, Part: p.opts.ChunkSize, Info: p.info, Observer: observer{p, s.blob},
	}.Run(ctx)
	switch {
	case err != nil:
		return "", err
	case present:
		return registry.StatusExists, nil
	}
	size, saved, err := sampled.sample.Estimate(p.opts.Compression)
	p.record.estimates(size, saved)
	return registry.StatusPushed, err
}

// sampled is content that is sent as it is. It keeps parts that tell what compression
// would save.
type sampled struct {
	upload.Content
	sample content.Sample
}

func (s *sampled) Reader(ctx context.Context, offset int64) io.ReadCloser {
	return s.sample.Reader(s.Content.Reader(ctx, offset), offset)
}

// awaitStep is how many bytes are awaited between two events.
const awaitStep = 256 << 10

// await waits for n bytes of the content, or for all if there are fewer.
// Meanwhile it reports how far a layer is compressed.
func (s *sending) await(ctx context.Context, c upload.Content, n int64) error {
	for want := min(awaitStep, n); ; want = min(want+awaitStep, n) {
		available, err := c.Wait(ctx, want)
		if err != nil {
			return err
		}
		if s.blob.Compress {
			consumed, _ := c.Progress()
			s.push.record.emit(registry.Event{Name: s.blob.Name, ID: shortID(s.blob), Status: registry.StatusCompressing, Current: consumed, Total: s.blob.Size})
		}
		if available < want || want == n {
			return nil
		}
	}
}

// session is the upload session of a blob. The cache finds it by the digest,
// or, while that is not known, by the diff ID and the compression, which decide
// the digest.
func (s *sending) session(d digest.Digest, size int64) *cache.Session {
	p, name := s.push, d.String()
	if name == "" && s.blob.Digest != "" {
		name = s.blob.Digest.String() + " " + p.opts.Compression.String()
	}
	return p.env.Cache.Session(p.env.Host, p.ref.Repository, name, size)
}

// wouldSend is what a dry run does in place of sending.
func (s *sending) wouldSend(ctx context.Context, c upload.Content) (registry.Status, error) {
	if err := s.await(ctx, c, 1<<62); err != nil {
		return "", err
	}
	d, _, _ := c.Complete()
	exists, err := s.push.repo().Exists(ctx, repo.Blobs, d)
	switch {
	case errors.Is(err, registry.ErrOwnerUnknown), err == nil && !exists:
		return registry.StatusSkipped, nil
	case err != nil:
		return "", err
	}
	return registry.StatusExists, nil
}

// parted reports whether something is known to limit the body of a request. Then a
// part is sent once all of it is there.
func (p *push) parted() bool { return p.env.Limits.Part(p.opts.ChunkSize) > 0 }
