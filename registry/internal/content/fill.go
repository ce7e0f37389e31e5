package content

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Sink is what is filled: a [Spool] or a [Window].
type Sink interface {
	io.Writer
	// Consume tells how much of the source was read.
	Consume(n int)
}

// Fill writes what open gives into a sink, and closes it. An error of the source
// is a [registry.ErrSource].
func Fill(ctx context.Context, into Sink, open func() (io.ReadCloser, error)) error {
	return from(ctx, into, open, func(source io.Reader) error {
		_, err := io.Copy(into, source)
		return err
	})
}

// Layer is what a layer turned out to be while it was compressed.
type Layer struct {
	// DiffID is the digest of its raw bytes.
	DiffID digest.Digest
	// Begins is that of the first [BeginningSize] of them, or of all where these
	// are fewer.
	Begins digest.Digest
}

// BeginningSize is by how many of its first bytes, uncompressed, a layer is known.
const BeginningSize = 32 << 10

// Compress writes the raw layer that open gives into a sink, compressed, and closes
// what it opened. Errors are those of [Fill].
func Compress(ctx context.Context, into Sink, open func() (io.ReadCloser, error), form image.Compression) (layer Layer, err error) {
	err = from(ctx, into, open, func(source io.Reader) error {
		layer, err = compress(into, source, form)
		return err
	})
	return layer, err
}

func compress(into io.Writer, source io.Reader, form image.Compression) (layer Layer, err error) {
	raw := digest.Canonical.Digester()
	w, err := form.NewWriter(into)
	if err != nil {
		return Layer{}, err
	}
	buffered := bufio.NewReaderSize(source, 256<<10)
	beginning, err := buffered.Peek(BeginningSize)
	layer.Begins = digest.FromBytes(beginning)
	if err == nil || errors.Is(err, io.EOF) {
		_, err = io.Copy(io.MultiWriter(raw.Hash(), w), buffered)
	}
	if err != nil {
		_ = w.Close() // it may only fail for the same reason once more
		return Layer{}, err
	}
	layer.DiffID = raw.Digest()
	return layer, w.Close()
}

// from lets read have what open gives, and closes it.
func from(ctx context.Context, into Sink, open func() (io.ReadCloser, error), read func(io.Reader) error) error {
	r, err := open()
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	return errors.Join(read(&contextReader{ctx: ctx, r: r, read: into.Consume}), r.Close())
}

// contextReader ends with the error of its context, marks failures as those of
// the source, and counts.
type contextReader struct {
	ctx  context.Context //nolint:containedctx // it lives for one copy
	r    io.Reader
	read func(n int)
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.read(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", registry.ErrSource, err)
	}
	return n, err
}
