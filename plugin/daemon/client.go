// Package daemon takes images out of a Docker Engine, through its HTTP API.
// It needs a few calls, present in every engine from 20.10 on, and
// therefore does without Docker's own client and the tracing libraries that
// it brings along.
//
// endpoint.go finds the daemon that docker itself would use; client.go
// connects to it; image.go asks it for images; export.go reads them; push.go has it push them, and
// through.go has it do so to a port of this machine; insecure.go tells where it
// does without certificates; errors.go says what went wrong.
package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/go-connections/sockets"
)

// Client is a connection to one daemon. It is safe for concurrent use.
type Client struct {
	endpoint Endpoint
	http     *http.Client
	// base is the URL in front of every path, without the API version.
	base string
	// api is the version of the API that is spoken.
	api apiVersion
	// podman: it is podman that speaks it.
	podman bool
}

// connectLimit is how long a daemon may take to say that it is there. One that is
// started by the first call, and an ssh that asks for a password, take a while.
var connectLimit = 2 * time.Minute

// Connect reaches the daemon at endpoint and agrees on the version of the API.
// A daemon that does not answer is an [*UnreachableError].
func Connect(ctx context.Context, endpoint Endpoint) (*Client, error) {
	transport, base, err := newTransport(endpoint)
	if err != nil {
		return nil, err
	}
	c := &Client{endpoint: endpoint, http: &http.Client{Transport: transport}, base: base}
	limited, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := c.negotiate(limited); err != nil {
		c.Close()
		// A connection notices the deadline, too, perhaps before limited does.
		if deadline, _ := limited.Deadline(); !time.Now().Before(deadline) && ctx.Err() == nil {
			err = &UnreachableError{Endpoint: endpoint, Err: fmt.Errorf("no answer within %v", connectLimit)}
		}
		return nil, err
	}
	return c, nil
}

// Podman reports whether it is podman that stands in for the daemon.
func (c *Client) Podman() bool { return c.podman }

// Close gives up idle connections. Streams that are being read go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func newTransport(endpoint Endpoint) (*http.Transport, string, error) {
	proto, addr, err := endpoint.address()
	if err != nil {
		return nil, "", err
	}
	transport := &http.Transport{}
	switch proto {
	case "ssh":
		helper, err := connhelper.GetConnectionHelper(endpoint.Host)
		if err != nil {
			return nil, "", fmt.Errorf("docker host %q: %w", endpoint.Host, err)
		}
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := helper.Dialer(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return programConn{conn}, nil
		}
		return transport, helper.Host, nil
	case "tcp":
		transport.TLSClientConfig = endpoint.TLS
	}
	if err := sockets.ConfigureTransport(transport, proto, addr); err != nil {
		return nil, "", fmt.Errorf("docker host %q: %w", endpoint.Host, err)
	}
	switch {
	case proto != "tcp":
		// The name is never resolved, but http wants one.
		return transport, "http://docker.invalid", nil
	case endpoint.TLS != nil:
		return transport, "https://" + addr, nil
	}
	return transport, "http://" + addr, nil
}

// programConn is a connection through a program, such as ssh. To close it is to wait
// for the program and for all that it has started (a ProxyCommand), which may never
// end: then they are left behind.
type programConn struct{ net.Conn }

// closeLimit is how long a program may take to end.
const closeLimit = time.Second

func (c programConn) Close() error {
	closed := make(chan error, 1)
	go func() { closed <- c.Conn.Close() }()
	timer := time.NewTimer(closeLimit)
	defer timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-timer.C:
		return fmt.Errorf("the program did not end within %v", closeLimit)
	}
}

// negotiate speaks the daemon's own version of the API. A cap at the newest
// version known here would lock out daemons that raise their minimum, and the
// calls used have only ever grown.
func (c *Client) negotiate(ctx context.Context) error {
	resp, err := c.send(ctx, http.MethodGet, "/_ping", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	c.podman = resp.Header.Get("Libpod-Api-Version") != ""
	offered := resp.Header.Get("Api-Version")
	if offered == "" && resp.StatusCode != http.StatusOK { // every engine sends it, whatever it answers
		return &ForeignError{Endpoint: c.endpoint, Status: resp.StatusCode, Message: errorMessage(resp.Body)}
	}
	if c.api, err = parseAPIVersion(cmp.Or(c.endpoint.APIVersion, offered)); err != nil {
		if c.endpoint.APIVersion != "" {
			return fmt.Errorf("DOCKER_API_VERSION: %w, which is none such as 1.41", err)
		}
		return &ForeignError{Endpoint: c.endpoint, Status: resp.StatusCode}
	}
	return nil
}

// get reads from path; see do.
func (c *Client) get(ctx context.Context, op, path string, query url.Values) (*http.Response, error) {
	return c.do(ctx, op, http.MethodGet, path, query, nil)
}

// do calls path with the version in front. The caller closes the body of a
// successful answer; any other is an [*Error].
func (c *Client) do(ctx context.Context, op, method, path string, query url.Values, header http.Header) (*http.Response, error) {
	resp, err := c.send(ctx, method, "/v"+c.api.String()+path, query, header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	message := errorMessage(resp.Body)
	if resp.StatusCode == http.StatusBadRequest && c.endpoint.APIVersion != "" {
		message += " (DOCKER_API_VERSION asks for " + c.endpoint.APIVersion + ": unset it)"
	}
	return nil, &Error{Op: op, Status: resp.StatusCode, Message: message}
}

// getJSON calls path and decodes the answer into out.
func (c *Client) getJSON(ctx context.Context, op, path string, query url.Values, out any) error {
	resp, err := c.get(ctx, op, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxJSON)).Decode(out); err != nil {
		return fmt.Errorf("docker daemon: %s: %w", op, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, header http.Header) (*http.Response, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	resp, err := c.http.Do(req)
	if ctx.Err() != nil {
		if err == nil {
			_ = resp.Body.Close()
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, &UnreachableError{Endpoint: c.endpoint, Err: cause(err)}
	}
	return resp, nil
}

const (
	// maxJSON bounds the list of a daemon's images.
	maxJSON = 256 << 20
	// maxMessage bounds what a daemon says of a failure.
	maxMessage = 64 << 10
)

// errorMessage is the daemon's sentence: {"message": "..."}.
func errorMessage(body io.Reader) string {
	text, _ := io.ReadAll(io.LimitReader(body, maxMessage))
	var answer struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &answer) == nil && answer.Message != "" {
		return answer.Message
	}
	return strings.TrimSpace(string(text))
}

// apiVersion is a version such as 1.48.
type apiVersion struct{ major, minor int }

func parseAPIVersion(s string) (apiVersion, error) {
	major, minor, found := strings.Cut(s, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	if !found || errA != nil || errB != nil || a < 0 || b < 0 {
		return apiVersion{}, fmt.Errorf("API version %q", s)
	}
	return apiVersion{a, b}, nil
}

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// atLeast reports whether the version is 1.minor or a later one.
func (v apiVersion) atLeast(minor int) bool {
	return v.major > 1 || v.major == 1 && v.minor >= minor
}
