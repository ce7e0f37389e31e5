package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Blob opens a blob of a repository; the caller closes it, and compares what it
// reads with the digest. Where the connection breaks off, reading goes on from
// there.
//
// Errors: a [*registry.SourceError], also of what is read; in it [registry.ErrBlobUnknown].
func (c *Client) Blob(ctx context.Context, repository string, d digest.Digest) (io.ReadCloser, error) {
	open := func(offset int64) (io.ReadCloser, error) { return c.blobFrom(ctx, repository, d, offset) }
	body, err := open(0)
	if err != nil {
		return nil, &registry.SourceError{Host: c.Host(), Repository: repository, Err: err}
	}
	return &download{ctx: ctx, client: c, repository: repository, open: open, body: body}, nil
}

// blobFrom opens a blob at an offset. A registry need not know ranges.
func (c *Client) blobFrom(ctx context.Context, repository string, d digest.Digest, offset int64) (io.ReadCloser, error) {
	header := http.Header{}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := c.browseWith(ctx, "get blob", http.MethodGet, "/v2/"+repository+"/blobs/"+d.String(), pullScope(repository), header)
	if err != nil {
		return nil, err
	}
	return from(resp, offset)
}

// from is the body of resp from an offset on, for which it was asked.
func from(resp *http.Response, offset int64) (io.ReadCloser, error) {
	skip := offset
	if resp.StatusCode == http.StatusPartialContent {
		skip = 0
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", offset)) {
			response.Drain(resp)
			return nil, fmt.Errorf("get blob: asked for what follows %d bytes, got %q", offset, printable.Clean(got))
		}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
		return nil, fmt.Errorf("get blob: %w", errors.Join(err, resp.Body.Close()))
	}
	return resp.Body, nil
}

// download is a blob that is read over as many connections as it takes.
type download struct {
	ctx        context.Context //nolint:containedctx // it is that of the request whose body this is
	client     *Client
	repository string
	open       func(offset int64) (io.ReadCloser, error)
	body       io.ReadCloser
	offset     int64
	failures   int // since something was read
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.offset += int64(n)
		if n > 0 {
			d.failures = 0
		}
		switch {
		case err == nil, errors.Is(err, io.EOF), d.ctx.Err() != nil:
			return n, err
		case n > 0:
			return n, nil // what is wrong shows again
		}
		if err := d.goOn(err); errors.Is(err, io.EOF) {
			return 0, err
		} else if err != nil {
			return 0, &registry.SourceError{Host: d.client.Host(), Repository: d.repository, Err: err}
		}
	}
}

// goOn opens the blob where it broke off with broke.
func (d *download) goOn(broke error) error {
	for err := broke; registry.Temporary(err) && d.failures < d.client.retries(0); {
		d.failures++
		if err := wire.Pause(d.ctx, d.client.opts.Backoff(d.failures)); err != nil {
			return err
		}
		var body io.ReadCloser
		if body, err = d.open(d.offset); err == nil {
			_ = d.body.Close() // it has failed
			d.body = body
			return nil
		}
		if answer, ok := errors.AsType[*registry.Error](err); ok && answer.Status == http.StatusRequestedRangeNotSatisfiable {
			return io.EOF // nothing follows; whether that is all, the digest tells
		}
		if !registry.Temporary(err) {
			return fmt.Errorf("%w, and then: %s", broke, printable.Clean(err.Error())) // whose EOF would be taken for the blob's
		}
	}
	return broke
}

func (d *download) Close() error { return d.body.Close() }
