package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/docker-gitea/docker-gitea/registry"
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
	req, err := http.NewRequestWithContext(ctx, method, t.push.address("blobs", u.digest.String()), nil)
	if err != nil {
		return outcome{err: err, held: -1, size: -1}
	}
	resp, err := t.push.conn.Try(req)
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

// holds reports whether what a tag leads to is data, to the byte.
func (p *push) holds(ctx context.Context, reference string, data []byte) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.address("manifests", reference), nil)
	if err != nil {
		return false, err
	}
	acceptManifests(req)
	resp, err := p.conn.Do(req)
	if err != nil {
		return false, fmt.Errorf("get manifest: %w", err)
	}
	defer response.Drain(resp)
	if resp.StatusCode != http.StatusOK {
		return false, nil
	}
	got, err := response.ReadWithin(resp.Body, maxManifest+1, response.Patience(maxManifest))
	if err != nil {
		return false, fmt.Errorf("get manifest: %w", err)
	}
	return string(got) == string(data), nil
}

// readList reads a page of a list into one, which must have the list's field:
// any server may answer with some JSON.
func readList(body []byte, field string, page any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	if _, ok := fields[field]; !ok {
		return errors.New("it has no " + field)
	}
	return json.Unmarshal(body, page)
}
