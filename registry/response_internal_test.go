package registry

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// An error whose body never ends costs a bounded time, and says what arrived.
func TestErrorBodyIsReadBriefly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		body, server := io.Pipe()
		go func() { _, _ = io.WriteString(server, "disk full\n") }()
		start := time.Now()
		err := responseError("put manifest 1", &http.Request{URL: &url.URL{Scheme: "https", Host: "git.example.com", Path: "/v2/me/app/manifests/1"}}, &http.Response{
			StatusCode: http.StatusInternalServerError, Header: http.Header{"Content-Type": {"text/plain"}}, Body: body,
		})
		if took := time.Since(start); took != briefTime || err.Message != "disk full" {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// dripping is a server that sends a blank now and then, for ever.
type dripping struct{ closed atomic.Bool }

func (*dripping) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: new(dripping), Request: req}, nil
}

func (d *dripping) Read(p []byte) (int, error) {
	time.Sleep(time.Second) // of the test's own clock
	if d.closed.Load() {
		return 0, net.ErrClosed
	}
	return copy(p, " "), nil
}

func (d *dripping) Close() error {
	d.closed.Store(true)
	return nil
}

// What is small ends in a bounded time, although the connection never stalls.
func TestDrippingAnswersEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ask  func(ctx context.Context, c *Client) error
		most time.Duration
	}{
		"manifest": {func(ctx context.Context, c *Client) error { _, err := c.Manifest(ctx, "me/app", "1"); return err }, 6 * time.Minute},
		"config":   {func(ctx context.Context, c *Client) error { _, err := c.Config(ctx, "me/app", "sha256:x"); return err }, 5 * time.Minute},
		"tags":     {func(ctx context.Context, c *Client) error { _, err := c.Tags(ctx, "me/app"); return err }, 5 * time.Minute},
		"token": {func(context.Context, *Client) error {
			_, err := (&authorizer{now: time.Now}).read(new(dripping))
			return err
		}, tokenTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := New(RegistryConfig{URL: "https://git.example.com"}, &Options{Transport: new(dripping)})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = tc.ask(t.Context(), c)
				if took := time.Since(start); !errors.Is(err, ErrStalled) || took > tc.most+time.Second {
					t.Errorf("got %v after %v", err, took)
				}
			})
		})
	}
}

// The header of an answer ends in a bounded time as well.
func TestDrippingHeaderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := RegistryConfig{URL: "http://git.example.com"}
		transport, err := NewTransport(config, &Options{StallTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		transport.dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				// What comes before there is a request is no answer to it.
				_, err := http.ReadRequest(bufio.NewReader(theirs))
				if err == nil {
					_, err = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nX: ")
				}
				for err == nil {
					time.Sleep(time.Second) // of the test's own clock
					_, err = io.WriteString(theirs, "x")
				}
			}()
			return &stallConn{Conn: ours, limit: time.Minute}, nil
		}
		c, err := New(config, &Options{Transport: transport, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Tags(t.Context(), "me/app")
		if took := time.Since(start); !errors.Is(err, ErrStalled) || errors.Is(err, context.DeadlineExceeded) || took != time.Minute+headerTime {
			t.Errorf("got %v after %v", err, took)
		}
		time.Sleep(2 * time.Second) // after which the server has noticed
	})
}
