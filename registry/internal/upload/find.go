package upload

import (
	"context"
	"net/http"

	"github.com/docker-gitea/docker-gitea/registry"
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
	o := outcome{held: -1}
	o.named, o.status, o.err = t.Repo.Holds(ctx, u.step.String(), method, u.digest, u.size)
	return t.known(o)
}
