package repo

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

// maxConfig is more than any config of an image, in bytes.
const maxConfig = 8 << 20

// Config reads the config of an image: a small blob.
func (r Repo) Config(ctx context.Context, d digest.Digest) ([]byte, error) {
	resp, err := r.success(ctx, question{op: "get config", method: http.MethodGet, kind: Blobs, name: d.String()})
	if err != nil {
		return nil, err
	}
	defer response.Drain(resp)
	data, err := response.ReadWithin(resp.Body, maxConfig, response.Patience(maxConfig))
	if err == nil && digest.FromBytes(data) != d {
		err = registry.ErrDigestMismatch
	}
	if err != nil {
		return nil, fmt.Errorf("get config %s: %w", d, err)
	}
	return data, nil
}

// Holds asks once whether the registry has a blob of size bytes, and returns the
// status of the answer, 0 without one. With HEAD the answer proves it by naming the
// digest, or by leading to where the blob is; with GET the content does. Any other
// status than 200 is an [*registry.Error]. op is what the error says was being done.
func (r Repo) Holds(ctx context.Context, op, method string, d digest.Digest, size int64) (proven bool, status int, err error) {
	resp, req, err := r.ask(ctx, r.Conn.Try, question{op: op, method: method, kind: Blobs, name: d.String()})
	if err != nil {
		return false, 0, err
	}
	defer response.Drain(resp)
	switch {
	case resp.StatusCode != http.StatusOK:
		return false, resp.StatusCode, response.Error(op, req, resp)
	case method == http.MethodHead:
		return response.Names(resp, d) || response.LedByRegistry(resp), resp.StatusCode, nil
	}
	verifier := d.Verifier()
	if _, err := io.Copy(verifier, io.LimitReader(resp.Body, size+1)); err != nil {
		return false, 0, fmt.Errorf("%s: %w", op, err)
	}
	return verifier.Verified(), resp.StatusCode, nil
}

// Blob opens a blob; the caller closes it, and compares what it reads with the
// digest. Where the connection breaks off, reading goes on from there.
func (r Repo) Blob(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	body, err := r.BlobFrom(ctx, d, 0)
	if err != nil {
		return nil, err
	}
	return &download{ctx: ctx, repo: r, digest: d, body: body}, nil
}

// BlobFrom opens a blob at an offset, over one connection. A registry need not know
// ranges.
func (r Repo) BlobFrom(ctx context.Context, d digest.Digest, offset int64) (io.ReadCloser, error) {
	header := http.Header{}
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	resp, err := r.success(ctx, question{op: "get blob", method: http.MethodGet, kind: Blobs, name: d.String(), header: header})
	if err != nil {
		return nil, err
	}
	return from(resp, offset)
}

// from is the body of resp, which was asked for an offset, from that offset on.
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
	ctx      context.Context //nolint:containedctx // it is that of the request whose body this is
	repo     Repo
	digest   digest.Digest
	body     io.ReadCloser
	offset   int64
	failures int // since something was read
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
			return 0, &registry.SourceError{Host: d.repo.Conn.Endpoint().Host, Repository: d.repo.Name, Err: err}
		}
	}
}

// goOn opens the blob where it broke off with broke.
func (d *download) goOn(broke error) error {
	for err := broke; registry.Temporary(err) && d.failures < d.repo.Conn.Retries(); {
		d.failures++
		if err := wire.Pause(d.ctx, d.repo.Conn.Backoff(d.failures)); err != nil {
			return err
		}
		var body io.ReadCloser
		if body, err = d.repo.BlobFrom(d.ctx, d.digest, d.offset); err == nil {
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
