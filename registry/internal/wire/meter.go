package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// RequestInfo is what the layers know of the push that a request is for. It travels
// in the request's context.
type RequestInfo struct {
	// Scope is that of the token. (Token authentication specification,
	// "Requesting a Token".)
	Scope string
	// Retries is how often a request is tried again; negative means as often
	// as any of the client's.
	Retries int
	// Requests counts those made.
	Requests *atomic.Int64
	// Silence hears of each.
	Silence *Silence
}

// NewInfo is that of a push, or of a request of its own.
func NewInfo(scope string, retries int) *RequestInfo {
	return &RequestInfo{Scope: scope, Retries: retries, Requests: new(atomic.Int64)}
}

type infoKey struct{}

// WithInfo is ctx for requests with that information.
func WithInfo(ctx context.Context, p *RequestInfo) context.Context {
	return context.WithValue(ctx, infoKey{}, p)
}

// InfoOf gives the information in ctx, or that of a request of its own.
func InfoOf(ctx context.Context) *RequestInfo {
	if p, ok := ctx.Value(infoKey{}).(*RequestInfo); ok {
		return p
	}
	return NewInfo("", -1)
}

// meter is the layer of everything that concerns each single request.
type meter struct {
	base      http.RoundTripper
	userAgent string
	log       *slog.Logger
	passersby response.Passersby
}

// NewMeter returns the layer above base.
func NewMeter(base http.RoundTripper, userAgent string, log *slog.Logger) http.RoundTripper {
	return &meter{base: base, userAgent: userAgent, log: log}
}

// And widens the scope of the token by another.
func (p RequestInfo) And(scope string) *RequestInfo {
	p.Scope += " " + scope
	return &p
}

// Once is p for a request that is tried once.
func (p RequestInfo) Once() *RequestInfo {
	p.Retries = 0
	return &p
}

func (m *meter) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if _, ok := endpoint.Host(req.URL); !ok {
		closeBody(req)
		return nil, fmt.Errorf("%w: %q is no host", registry.ErrRedirected, printable.Clean(req.URL.Host))
	}
	req = req.Clone(response.WithPassersby(ctx, &m.passersby))
	req.Header.Set("User-Agent", m.userAgent)
	info := InfoOf(ctx)
	info.Requests.Add(1)
	start := time.Now()
	info.Silence.begin()
	resp, err := m.base.RoundTrip(req)
	info.Silence.end()
	var result string
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
