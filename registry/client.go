package registry

import (
	"context"
	"errors"
)

// Client pushes images to one registry. It is safe for concurrent use, and
// many pushes may run side by side.
type Client struct {
	config RegistryConfig
	opts   Options
}

var _ RegistryClient = (*Client)(nil)

var errStub = errors.New("not written yet")

// New returns a client for the registry of config. It performs no I/O but
// reading the certificate files. opts may be nil.
func New(config RegistryConfig, opts *Options) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	c := &Client{config: config}
	if opts != nil {
		c.opts = *opts
	}
	return c, nil
}

// Push implements [RegistryClient].
func (c *Client) Push(ctx context.Context, imageRef string, opts PushOptions) error { return errStub }

// Authenticate implements [RegistryClient].
func (c *Client) Authenticate(ctx context.Context, config AuthConfig) error { return errStub }

// Health implements [RegistryClient].
func (c *Client) Health(ctx context.Context) error { return errStub }
