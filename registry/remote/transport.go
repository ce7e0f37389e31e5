package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// Requests pass these layers, each of which does one thing:
//
//	retrier      other requests than uploads: again after a passing failure
//	  authorizer   adds the token, fetches a new one on 401   (auth.go)
//	    meter        user agent, TLS errors, log, count
//	      Transport    Go's, with the TLS settings of the host that is asked,
//	                   and stall detection                (package transport)
//
// Uploads enter below the retrier: their retries belong to the upload state
// machine alone (upload.go).

// purpose is what the layers know of the push that a request is for. It travels
// in the request's context.
type purpose struct {
	// scope is that of the token. (Token authentication specification,
	// "Requesting a Token".)
	scope string
	// retries is how often a request is tried again; negative means as often
	// as any of the client's.
	retries int
	// requests counts those made.
	requests *atomic.Int64
	// silence hears of each.
	silence *silence
}

func newPurpose(scope string, retries int) *purpose {
	return &purpose{scope: scope, retries: retries, requests: new(atomic.Int64)}
}

// and widens the scope of the token by another.
func (p purpose) and(scope string) *purpose {
	p.scope += " " + scope
	return &p
}

type purposeKey struct{}

// purposeOf gives the purpose in ctx, or that of a request of its own.
func purposeOf(ctx context.Context) *purpose {
	if p, ok := ctx.Value(purposeKey{}).(*purpose); ok {
		return p
	}
	return newPurpose("", -1)
}

// meter is the layer of everything that concerns each single request.
type meter struct {
	base      http.RoundTripper
	userAgent string
	log       *slog.Logger
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if _, ok := endpoint.Host(req.URL); !ok {
		closeBody(req)
		return nil, fmt.Errorf("%w: %q is no host", registry.ErrRedirected, printable.Clean(req.URL.Host))
	}
	req = req.Clone(ctx)
	req.Header.Set("User-Agent", m.userAgent)
	purpose := purposeOf(ctx)
	purpose.requests.Add(1)
	start := time.Now()
	purpose.silence.begin()
	resp, err := m.base.RoundTrip(req)
	purpose.silence.end()
	result := ""
	if err = transport.Unreached(req, resp, err); err != nil {
		resp, result = nil, err.Error()
	} else {
		result = printable.Clean(resp.Status)
	}
	m.log.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("method", req.Method), slog.String("url", printable.URL(req.URL)),
		slog.Duration("took", time.Since(start)), slog.String("result", result))
	return resp, err
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (m *meter) CloseIdleConnections() {
	(&http.Client{Transport: m.base}).CloseIdleConnections()
}

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
			if asked := response.RetryAfter(resp.Header, time.Now()); asked > 0 {
				wait = asked
			}
			response.Drain(resp)
		}
		if err := pause(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// nowhere is what a failure is of a request that was led to another place than
// the registry, and not by the registry: the redirection is at fault.
func nowhere(req *http.Request, err error) error {
	by := response.StrayedTo(req) //nolint:bodyclose // an answer that led elsewhere, whose body was closed then
	if by == nil || req.Context().Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", response.Redirection("follow redirection", by, req.URL), err)
}

// allowed is how often req may be sent again.
func (r *retrier) allowed(req *http.Request) int {
	switch own := purposeOf(req.Context()).retries; {
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

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, wait time.Duration) error {
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
