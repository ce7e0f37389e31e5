package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// foreign opens what a manifest names by a URL. Anybody may have written that URL.
// So the request goes by HTTPS alone: a service that gives secrets to whoever asks
// from inside (the metadata of a cloud's machine) does not speak it. The request has
// no credential, and trusts no authority but the system's, whatever the settings of
// the host.
func (c *Client) foreign(ctx context.Context, address string) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no address with https", printable.Clean(address))
	}
	u.User = nil // net/http would make a credential of it
	base := c.opts.Transport
	if base == nil {
		config := registry.RegistryConfig{URL: "https://" + u.Host, CertDirs: []string{}}
		if base, err = transport.New(config, &transport.Options{ConnectTimeout: c.opts.ConnectTimeout, StallTimeout: c.opts.StallTimeout}); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("it is no address")
	}
	client := &http.Client{Transport: wire.NewMeter(base, c.opts.UserAgent, c.opts.Logger), CheckRedirect: wire.Follow}
	resp, err := client.Do(req)
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // its text has the whole address
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", printable.Bare(u), err)
	}
	if resp.StatusCode != http.StatusOK {
		response.Drain(resp)
		return nil, fmt.Errorf("%s: %s", printable.Bare(u), printable.Clean(resp.Status))
	}
	return resp.Body, nil
}
