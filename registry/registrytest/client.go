package registrytest

import (
	"context"
	"slices"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry"
)

// Client is a fake of [registry.RegistryClient]: it sends nothing, records
// what it is asked to do, and fails as told. The zero value succeeds at
// everything. It is safe for concurrent use and must not be copied.
//
// References and options are checked as the real client checks them before
// its first request. The source of a push is not read.
type Client struct {
	// PushErrors, AuthenticateErrors and HealthErrors are what the calls
	// return, one after another; a nil entry is a success, as is every call
	// after the last. They must not change once a call is made.
	PushErrors         []error
	AuthenticateErrors []error
	HealthErrors       []error
	// Result is what a push that succeeds stores in [registry.PushOptions]'s
	// Result, with the reference of the push.
	Result registry.Result

	// mu guards the fields below.
	mu              sync.Mutex
	pushes          []Push
	authentications []registry.AuthConfig
	health          int
}

var _ registry.RegistryClient = (*Client)(nil)

// Push is a call of [Client.Push].
type Push struct {
	Reference string
	Options   registry.PushOptions
	// Err is what the call returned.
	Err error
}

// Push implements [registry.RegistryClient].
func (c *Client) Push(ctx context.Context, imageRef string, opts registry.PushOptions) error {
	ref, err := registry.ParseReference(imageRef)
	if err == nil {
		err = opts.Validate()
	}
	if err == nil {
		err = ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = nth(c.PushErrors, len(c.pushes))
	}
	if err == nil && opts.Result != nil {
		*opts.Result = c.Result
		opts.Result.Reference = ref.Familiar()
	}
	c.pushes = append(c.pushes, Push{Reference: imageRef, Options: opts, Err: err})
	return err
}

// Authenticate implements [registry.RegistryClient].
func (c *Client) Authenticate(ctx context.Context, config registry.AuthConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.authentications = append(c.authentications, config)
	return nth(c.AuthenticateErrors, len(c.authentications)-1)
}

// Health implements [registry.RegistryClient].
func (c *Client) Health(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health++
	return nth(c.HealthErrors, c.health-1)
}

// Pushes returns the calls of Push so far, in order.
func (c *Client) Pushes() []Push {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pushes)
}

// Authentications returns the credentials given to Authenticate so far, in
// order. They print without their secrets.
func (c *Client) Authentications() []registry.AuthConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.authentications)
}

// HealthChecks returns how often Health was called.
func (c *Client) HealthChecks() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.health
}

func nth(errs []error, n int) error {
	if n < len(errs) {
		return errs[n]
	}
	return nil
}
