package upload

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// verify asks whether the blob of an upload is there. Before anything was sent
// an answer that proves nothing is as good as none; afterwards the bytes decide.
func (t *transfer) verify(ctx context.Context, u upload) outcome {
	o := t.find(ctx, http.MethodHead, u)
	if u.looking || o.named || o.status == 0 || o.status == http.StatusNotFound || registry.TemporaryStatus(o.status) {
		return o
	}
	return t.find(ctx, http.MethodGet, u)
}

// find makes one request for the blob of an upload.
func (t *transfer) find(ctx context.Context, method string, u upload) outcome {
	req, err := http.NewRequestWithContext(ctx, method, t.Repo.Address(repo.Blobs, u.digest.String()), nil)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	resp, err := t.Repo.Conn.Try(req)
	if err != nil {
		return t.known(outcome{err: fmt.Errorf("%s: %w", u.step, err), held: -1})
	}
	defer response.Drain(resp)
	o := outcome{status: resp.StatusCode, held: -1}
	switch {
	case resp.StatusCode != http.StatusOK:
		o.err = response.Error(u.step.String(), req, resp)
	case method == http.MethodHead:
		o.named = response.Names(resp, u.digest) || response.LedByRegistry(resp)
	default:
		verifier := u.digest.Verifier()
		_, err := io.Copy(verifier, io.LimitReader(resp.Body, u.size+1))
		if o.named = err == nil && verifier.Verified(); err != nil {
			o = outcome{err: fmt.Errorf("%s: %w", u.step, err), held: -1}
		}
	}
	return t.known(o)
}
