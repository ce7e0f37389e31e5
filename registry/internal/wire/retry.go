package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// retrier sends a request again after a passing failure, as often as its
// purpose allows, or else retries times. Bodies come from GetBody; a request
// without it is tried once.
type retrier struct {
	base    http.RoundTripper
	retries int
	backoff func(n int) time.Duration
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	retries := r.allowed(req)
	for n := 1; ; n++ {
		attempt, err := rewind(req, n > 1)
		if err != nil {
			return nil, err
		}
		resp, err := r.base.RoundTrip(attempt)
		again := n <= retries
		if err != nil && (!again || !registry.Temporary(err)) {
			return nil, nowhere(req, err)
		}
		if err == nil && (!again || !registry.TemporaryStatus(resp.StatusCode)) {
			return resp, nil
		}
		wait := r.backoff(n)
		if err == nil {
			if response.TooLong(resp.Header, time.Now()) {
				return resp, nil
			}
			wait = cmp.Or(response.RetryAfter(resp.Header, time.Now()), wait)
			response.Drain(resp)
		}
		if err := Pause(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// nowhere is what a failure is of a request that was led to another place than
// the registry, and not by the registry: the redirection is at fault.
func nowhere(req *http.Request, err error) error {
	by := response.StrayedTo(req)
	if by == nil || req.Context().Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", response.Redirection("follow redirection", by, req.URL), err)
}

// allowed is how often req may be sent again.
func (r *retrier) allowed(req *http.Request) int {
	switch own := InfoOf(req.Context()).Retries; {
	case req.Body != nil && req.GetBody == nil:
		return 0
	case own < 0:
		return r.retries
	default:
		return own
	}
}

// rewind returns req with a body that is read from its start.
func rewind(req *http.Request, again bool) (*http.Request, error) {
	if !again || req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("request body cannot be sent again")
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	next := req.Clone(req.Context())
	next.Body = body
	return next, nil
}

// FullJitter is the default backoff: a random wait below 0.5 s, doubled each
// time, up to 30 s.
func FullJitter(n int) time.Duration {
	ceiling := 30 * time.Second
	if n < 7 {
		ceiling = 250 * time.Millisecond << n
	}
	return rand.N(ceiling) //nolint:gosec // G404: a wait is no secret
}

// Pause waits, or returns the error of ctx.
func Pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
