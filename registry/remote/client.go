// Package remote is the client for one registry. [New] makes a [Client], which may
// be shared; [Client.Push] sends an image, [Client.Health] and
// [Client.Authenticate] look before, [Client.Check] looks at everything in between.
// What it is asked for and what it answers is the vocabulary of package
// [github.com/docker-gitea/docker-gitea/registry]; it reads no image format and
// knows no command line.
//
// # How the files fit together
//
//   - client.go: the client; it puts the layers of transport.go together, among
//     them auth.go and package transport; traits.go: what is known
//     of the registry
//   - push.go: one push from its start to its end; blob.go: one blob, driven by
//     the state machine in upload.go, which does no I/O; content.go and
//     spool.go: what can be sent again; manifest.go: manifests and tags;
//     known.go and cache.go: what need not be sent at all; remember.go: what
//     may be kept for that; verify.go: whether all is there; session.go: where
//     another process goes on; missing.go and download.go: where the blobs come
//     from that the source lacks; silence.go: a word when nothing moves
//   - relay.go: a daemon's own push, passed on from a registry on a loopback
//     port; standin.go: layers that the daemon need not compress for it
//   - browse.go: what the registry holds, read and deleted; and the way to the
//     other APIs of its server; tag.go and join.go: what it has, under other names
//   - check.go: everything on the way to a registry, looked at in order, with
//     trace.go and account.go
package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// Client pushes images to one registry. It is safe for concurrent use, and
// many pushes may run side by side: they share connections and tokens.
type Client struct {
	config registry.RegistryConfig
	opts   Options

	// mu guards the fields below. It is not held during requests.
	mu         sync.Mutex
	endpoint   endpoint.Endpoint
	credential registry.AuthConfig
	stacks     map[bool]*stack // by whether any certificate is accepted

	traits traits
}

var _ registry.RegistryClient = (*Client)(nil)

// stack is the layers through which requests pass; see transport.go.
type stack struct {
	endpoint endpoint.Endpoint
	auth     *authorizer  // for uploads: no retries, no redirects
	http     *http.Client // for everything else
}

// New returns a client for the registry of config. It performs no I/O:
// certificates are read and connections made when they are first needed.
// opts may be nil.
func New(config registry.RegistryConfig, opts *Options) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	e, err := endpoint.Parse(config.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{config: config, endpoint: e, credential: config.Auth, stacks: map[bool]*stack{}}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Logger == nil {
		c.opts.Logger = slog.New(slog.DiscardHandler)
	}
	if c.opts.UserAgent == "" {
		c.opts.UserAgent = "docker-gitea"
	}
	if c.opts.StallTimeout <= 0 {
		c.opts.StallTimeout = transport.DefaultStallTimeout
	}
	if c.opts.Backoff == nil {
		c.opts.Backoff = FullJitter
	}
	c.traits.recall(c.opts.Cache.host(e.Host, time.Now()))
	return c, nil
}

// Host is the registry's host in its normal form.
func (c *Client) Host() string { return c.endpoint.Host }

// retries is how often to try again where a push says own, which is zero where
// it says nothing.
func (c *Client) retries(own int) int {
	return max(cmp.Or(own, c.opts.Retries, registry.DefaultRetries), 0)
}

// Authenticate implements [registry.RegistryClient].
func (c *Client) Authenticate(ctx context.Context, config registry.AuthConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	s, err := c.stack(ctx, false, nil)
	if err != nil {
		return err
	}
	trial := c.assemble(s.endpoint, s.auth.base, config)
	if err := trial.ping(ctx); err != nil {
		return err
	}
	if !config.IsZero() && trial.auth.identity().Anonymous {
		return &registry.Error{Op: "authenticate", Status: http.StatusUnauthorized, Message: "the registry took the credential for none", Kind: registry.ErrDenied}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.credential = config
	for _, s := range c.stacks {
		s.auth.use(config)
	}
	return nil
}

// Identity asks the registry whom it takes the client for. Registries other
// than Gitea and Forgejo do not tell; the zero Identity is then returned.
func (c *Client) Identity(ctx context.Context) (registry.Identity, error) {
	s, err := c.stack(ctx, false, nil)
	if err != nil {
		return registry.Identity{}, err
	}
	if err := s.ping(ctx); err != nil {
		return registry.Identity{}, err
	}
	return s.auth.identity(), nil
}

// greeting makes the first request to a registry.
type greeting func(context.Context, *stack) error

// stack returns the layers for a request, building them at their first use.
// greet is the first request of whoever finds that nobody has asked for a token:
// a push that finds nothing changed needs none, and the next push may. Those who
// only look have no greeting: where it has to be known whether the registry
// speaks TLS, it is asked without a credential.
func (c *Client) stack(ctx context.Context, insecure bool, greet greeting) (*stack, error) {
	insecure = insecure || c.config.Insecure
	c.mu.Lock()
	s, e, own := c.stacks[insecure], c.endpoint, c.credential
	c.mu.Unlock()
	if s != nil {
		if greet != nil && s.auth.unasked() {
			_ = greet(ctx, s) // as in meet, what goes wrong shows again
		}
		return s, ctx.Err()
	}
	base, err := c.transport(insecure)
	if err != nil {
		return nil, err
	}
	s = c.assemble(e, base, own)
	if err := s.meet(ctx, greet); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.stacks[insecure]; known != nil {
		return known, nil
	}
	c.endpoint = s.endpoint
	c.stacks[insecure] = s
	return s, nil
}

// transport is the lowest layers, which know nothing of credentials.
func (c *Client) transport(insecure bool) (http.RoundTripper, error) {
	base := c.opts.Transport
	if base == nil {
		config := c.config
		config.Insecure = insecure
		t, err := transport.New(config, &transport.Options{ConnectTimeout: c.opts.ConnectTimeout, StallTimeout: c.opts.StallTimeout})
		if err != nil {
			return nil, err
		}
		base = t
	}
	return &meter{base: base, userAgent: c.opts.UserAgent, log: c.opts.Logger}, nil
}

// assemble puts the layers drawn in transport.go above base.
func (c *Client) assemble(e endpoint.Endpoint, base http.RoundTripper, credential registry.AuthConfig) *stack {
	auth := &authorizer{base: base, endpoint: e, traits: &c.traits, now: time.Now, tokens: map[string]token{}, accepted: map[string]bool{}, credential: credential}
	return &stack{
		endpoint: e,
		auth:     auth,
		http: &http.Client{
			Transport:     c.retrier(auth),
			CheckRedirect: checkRedirect,
		},
	}
}

// retrier is the layer above base that tries again.
func (c *Client) retrier(base http.RoundTripper) *retrier {
	return &retrier{base: base, retries: c.retries(0), backoff: c.opts.Backoff}
}

const maxRedirects = 5

// checkRedirect follows a few redirects of requests that only read, and never
// from TLS to plain HTTP. The authorizer leaves requests to another origin
// without a credential.
func checkRedirect(req *http.Request, via []*http.Request) error {
	req.URL.User = nil        // net/http would make a credential of it
	req.Header.Del("Referer") // its query may be a secret of the host before
	first := via[0]
	switch {
	case first.Method != http.MethodGet && first.Method != http.MethodHead, len(via) > maxRedirects:
		return http.ErrUseLastResponse
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s", registry.ErrRedirected, printable.Clean(req.URL.Scheme+"://"+req.URL.Host))
	}
	return nil
}

// meet lets greet make the first request, which finds out two things at once:
// what greet wants to know, and whether a loopback address without a scheme
// speaks TLS, which is tried first, as Docker does. What else goes wrong shows
// again, with its cause, in the request proper.
func (s *stack) meet(ctx context.Context, greet greeting) error {
	probe := !s.endpoint.Chosen && s.endpoint.Loopback()
	if greet == nil || s.auth.anonymous() {
		if !probe {
			return nil
		}
		greet = func(ctx context.Context, s *stack) error { return s.auth.introduce(ctx, registry.AuthConfig{}) }
	}
	err := greet(ctx, s)
	if probe && isPlainHTTP(err) {
		s.endpoint.Scheme = "http"
		s.auth.endpoint = s.endpoint
	}
	return ctx.Err()
}

// isPlainHTTP reports that what was asked by TLS speaks plain HTTP.
func isPlainHTTP(err error) bool {
	fault, ok := errors.AsType[*registry.TLSError](err)
	return ok && fault.PlainHTTP()
}

// introduced greets with the credential: it is taken straight to where Gitea
// and Forgejo have their token service; any other registry tells, then or in
// the answer to the request proper, how it lets one in.
func introduced(ctx context.Context, s *stack) error {
	return s.auth.introduce(ctx, s.auth.current())
}

// ping asks /v2/, the endpoint that tells whether there is a registry and
// whether it knows the client (OCI distribution specification, end-1).
func (s *stack) ping(ctx context.Context) error {
	resp, err := get(ctx, s.http, s.endpoint.URL("/v2/"))
	if err != nil {
		return fmt.Errorf("ask registry: %w", err)
	}
	defer response.Drain(resp)
	return response.OfRegistry(resp)
}

func get(ctx context.Context, client *http.Client, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	return resp, unwrapURL(err)
}

// unwrapURL takes off net/http's wrapping, whose text holds the whole URL.
func unwrapURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
