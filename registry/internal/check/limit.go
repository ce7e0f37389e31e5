package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// The sizes of bodies that are tried: powers of two from 64 KiB to 8 GiB.
const (
	leastProbe = 16
	mostProbe  = 33
)

// limit finds the largest body that the way to the registry allows, without
// sending one: what refuses a body does so by its announced length.
func (e *examination) limit(ctx context.Context) []registry.Check {
	if e.session == "" {
		return nil
	}
	refused := error(nil)
	low, high := leastProbe-1, mostProbe+1 // accepted, refused
	for next := mostProbe; high-low > 1; next = (low + high) / 2 {
		switch err := e.announce(ctx, 1<<next); {
		case errors.Is(err, registry.ErrTooLarge):
			refused, high = err, next
		case ctx.Err() != nil:
			return []registry.Check{registry.Failed("upload limit", ctx.Err())}
		default:
			low = next // whatever else it is, it is no refusal of the size
		}
	}
	if refused == nil {
		return []registry.Check{registry.Passed("upload limit", "none up to 8 GiB in a request")}
	}
	check := registry.Warned("upload limit", refused)
	check.Detail = fmt.Sprintf("between %d and %d KiB in a request", int64(1)<<low>>10, int64(1)<<high>>10)
	return []registry.Check{check}
}

// errProbe ends a request before its body.
var errProbe = errors.New("probe")

// probe is the body of a request that is made for the answer to its header.
// A server that says "100 Continue" has not refused it, and gets no body.
type probe struct {
	told <-chan struct{} // "100 Continue" came
	// left is what is sent to one who has said nothing so far. Caddy refuses
	// the length, but cannot answer before it has read the first 256 KiB.
	left int64
	// whole: that is the whole body.
	whole    bool
	answered <-chan struct{}
}

const (
	mostProbed    = 256<<10 + 1 // net/http, maxPostHandlerReadBytes
	probePatience = 3 * time.Second
)

func newProbe(size int64, told, answered <-chan struct{}) io.ReadCloser {
	return io.NopCloser(&probe{told: told, left: min(size, mostProbed), whole: size <= mostProbed, answered: answered})
}

// announce begins to send size bytes to the upload session, and stops when it
// is told to go on ("Expect: 100-continue").
func (e *examination) announce(ctx context.Context, size int64) error {
	told := make(chan struct{})
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: sync.OnceFunc(func() { close(told) })})
	answered := make(chan struct{})
	defer close(answered)
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, e.session, newProbe(size, told, answered))
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.GetBody = func() (io.ReadCloser, error) { return newProbe(size, told, answered), nil }
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Expect", "100-continue")
	resp, err := e.conn.Once(req)
	if err != nil {
		return err
	}
	defer response.Drain(resp)
	return response.Error("upload", req, resp)
}
