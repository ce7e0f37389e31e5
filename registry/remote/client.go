// Package remote is the client for one registry: it pushes, copies, tags, joins, lists
// and deletes images, and examines the way to the registry.
//
// # Where to begin
//
// [New] makes a [Client] from a [registry.RegistryConfig], which says where the registry
// is and holds the credential. It makes no request. Then:
//
//   - [Client.Push] sends an image that package image has opened;
//   - [Client.Copy] brings an image from another registry, [Client.Tag] gives it other
//     tags, [Client.Join] makes one index of images for several platforms;
//   - [Client.Repositories], [Client.Tags] and [Client.Manifest] show what is there,
//     and [Client.Delete] removes it;
//   - [Client.Health] is a quick look before a push, [Client.Check] a thorough one.
//
// [Options] has what the program around the client decides: the logger, the timeouts,
// the retries and the directory of the cache. Nil means the defaults.
//
// # Errors
//
// They are those of package
// [github.com/docker-gitea/docker-gitea/registry]: errors.Is says what an error means,
// registry.Diagnose says it in words. Each method names the errors to expect.
//
// # Concurrency
//
// A Client is safe for concurrent use. Make one for each registry and share it: all
// pushes of a client share its connections and tokens.
//
// # Other packages
//
// Use package transport for requests of your own to a registry, package certs for its
// TLS settings alone. Tests use package registrytest. This package reads no image
// format, and knows neither docker nor a command line.
//
// # How the files fit together
//
//   - client.go: the client, and its connections (package wire); options.go,
//     certificates.go
//   - push.go, copy.go, tag.go, join.go: what is pushed, and what gets other names (package
//     push); referrers.go: what refers to an image
//   - browse.go, source.go: reading and deleting what the registry holds; ask.go:
//     the way to the other APIs of its server
//   - check.go: the way to the examination (package check)
package remote

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/push"
	"github.com/docker-gitea/docker-gitea/registry/internal/upload"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
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
	conns      map[bool]*wire.Conn // by whether any certificate is accepted

	cache  *cache.Cache
	traits *wire.Traits
	limits *upload.Limits
	batch  *push.Batch
	untold atomic.Bool // the registry does not tell what refers to a manifest
}

var _ registry.RegistryClient = (*Client)(nil)

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
	c := &Client{config: config, endpoint: e, credential: config.Auth, conns: map[bool]*wire.Conn{}, traits: &wire.Traits{}}
	c.config.Auth = registry.AuthConfig{} // it is kept once
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
		c.opts.Backoff = wire.FullJitter
	}
	c.cache = cache.New(c.opts.CacheDir, c.opts.Logger)
	c.limits = upload.NewLimits(c.traits, c.cache, e.Host, c.opts.Rate.shared())
	if c.opts.Together {
		c.batch = push.NewBatch()
	}
	return c, nil
}

// Host is the registry's host in its normal form.
func (c *Client) Host() string {
	c.mu.Lock() // a holder of an image may ask while the scheme is found out
	defer c.mu.Unlock()
	return c.endpoint.Host
}

// Pushed returns how many of an image's layers, from the bottom on, were pushed
// to the registry before, in whichever way. They need not be compressed again.
func (c *Client) Pushed(diffIDs []digest.Digest) int { return c.cache.Pushed(c.Host(), diffIDs) }

// retries is how often to try again. own is what a push says, and zero if it
// says nothing.
func (c *Client) retries(own int) int {
	return max(cmp.Or(own, c.opts.Retries, registry.DefaultRetries), 0)
}

// Authenticate implements [registry.RegistryClient].
func (c *Client) Authenticate(ctx context.Context, config registry.AuthConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return err
	}
	trial := s.With(config)
	if err := trial.Ping(ctx); err != nil {
		return err
	}
	if !config.IsZero() && trial.Identity().Anonymous {
		return &registry.Error{Op: "authenticate", Status: http.StatusUnauthorized, Message: "the registry treated the credential as anonymous", Kind: registry.ErrDenied}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.credential = config
	for _, s := range c.conns {
		s.Use(config)
	}
	return nil
}

// Identity asks the registry which user it takes the client for. Registries other
// than Gitea and Forgejo do not tell; the zero Identity is then returned.
func (c *Client) Identity(ctx context.Context) (registry.Identity, error) {
	s, err := c.conn(ctx, false, nil)
	if err != nil {
		return registry.Identity{}, err
	}
	if err := s.Ping(ctx); err != nil {
		return registry.Identity{}, err
	}
	return s.Identity(), nil
}

// conn returns the connection for a request, and builds it at its first use.
// greet makes the first request of a caller who finds that nobody has asked for
// a token: a push that finds nothing changed needs none, and the next push may
// need one. greet may be nil: if conn then has to know whether the registry
// speaks TLS, it asks without a credential.
func (c *Client) conn(ctx context.Context, insecure bool, greet wire.Greeting) (*wire.Conn, error) {
	insecure = insecure || c.config.Insecure
	c.mu.Lock()
	s, e, own := c.conns[insecure], c.endpoint, c.credential
	c.mu.Unlock()
	if s != nil {
		if greet != nil && s.Unasked() {
			_ = greet(ctx, s) // as in Meet, a failure shows again
		}
		return s, ctx.Err()
	}
	base, ahead, err := c.transport(insecure)
	if err != nil {
		return nil, err
	}
	s = wire.New(wire.Config{Endpoint: e, Credential: own, Base: base, Ahead: ahead, Traits: c.traits, Retries: c.retries(0), Backoff: c.opts.Backoff})
	if err := s.Meet(ctx, greet); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.conns[insecure]; known != nil {
		return known, nil
	}
	c.endpoint = s.Endpoint()
	c.conns[insecure] = s
	return s, nil
}

// transport is the lowest part of a connection, which knows nothing of
// credentials, and what makes its connections ahead; a transport of the user's has none
// of that.
func (c *Client) transport(insecure bool) (base http.RoundTripper, ahead func(address string, n int), err error) {
	base = c.opts.Transport
	if base == nil {
		config := c.config
		config.Insecure = insecure
		t, err := transport.New(config, &transport.Options{ConnectTimeout: c.opts.ConnectTimeout, StallTimeout: c.opts.StallTimeout})
		if err != nil {
			return nil, nil, err
		}
		base, ahead = t, t.Ahead
	}
	return wire.NewMeter(base, c.opts.UserAgent, c.opts.Logger), ahead, nil
}
