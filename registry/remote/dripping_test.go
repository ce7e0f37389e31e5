package remote_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/hostile"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

// dripping is a server whose answers have no end.
type dripping struct{}

func (dripping) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: new(hostile.Dripping), Request: req}, nil
}

// What is small ends in a bounded time, although the connection never stalls.
func TestDrippingAnswersEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ask  func(ctx context.Context, c *remote.Client) error
		most time.Duration
	}{
		"manifest": {func(ctx context.Context, c *remote.Client) error {
			_, err := c.Manifest(ctx, "me/app", "1")
			return err
		}, 6 * time.Minute},
		"config": {func(ctx context.Context, c *remote.Client) error {
			_, err := c.Config(ctx, "me/app", "sha256:x")
			return err
		}, 5 * time.Minute},
		"tags": {func(ctx context.Context, c *remote.Client) error { _, err := c.Tags(ctx, "me/app"); return err }, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com"}, &remote.Options{Transport: dripping{}})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = tc.ask(t.Context(), c)
				if took := time.Since(start); !errors.Is(err, registry.ErrStalled) || took > tc.most+time.Second {
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
		config := registry.RegistryConfig{URL: "http://git.example.com"}
		transport, err := transport.New(config, &transport.Options{StallTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		own, err := transport.To(config.URL)
		if err != nil {
			t.Fatal(err)
		}
		own.DialContext = func(context.Context, string, string) (net.Conn, error) {
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
			return ours, nil
		}
		c, err := remote.New(config, &remote.Options{Transport: transport, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = c.Tags(t.Context(), "me/app")
		if took := time.Since(start); !errors.Is(err, registry.ErrStalled) || errors.Is(err, context.DeadlineExceeded) || took != time.Minute+30*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		time.Sleep(2 * time.Second) // after which the server has noticed
	})
}

// A host that drops what is sent to it is not the time limit of the push.
func TestConnectTimeoutIsNoTimeLimit(t *testing.T) {
	t.Parallel()
	config := registry.RegistryConfig{URL: "https://127.0.0.1:1"}
	c, err := remote.New(config, &remote.Options{ConnectTimeout: time.Nanosecond, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Health(t.Context())
	if err == nil {
		t.Fatal("connected in a nanosecond")
	}
	if d := registry.Diagnose(err); !strings.Contains(d.Cause, "does not answer") || errors.Is(err, context.DeadlineExceeded) || !registry.Temporary(err) {
		t.Errorf("got %v: %+v", err, d)
	}
}

// unanswered counts requests that nobody answers in time.
type unanswered struct{ asked atomic.Int32 }

func (u *unanswered) RoundTrip(req *http.Request) (*http.Response, error) {
	u.asked.Add(1)
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
}

// A server that says nothing is waited for once where nothing is tried again, although
// the first request is made to find out something else.
func TestSilenceIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, host string
		do         func(*remote.Client) error
	}{
		{"check, of a loopback address", "127.0.0.1:3000", func(c *remote.Client) error { return c.Check(t.Context(), "me/app")[0].Err }},
		{"push, with a credential", "git.example.com", func(c *remote.Client) error {
			source, err := image.Open(writeLayout(t, []byte("layer")), nil)
			if err != nil {
				return err
			}
			return errors.Join(c.Push(t.Context(), "me/app:1", registry.PushOptions{Source: source, Retries: -1}), source.Close())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			silent := new(unanswered)
			c, err := remote.New(registry.RegistryConfig{URL: tc.host, Auth: registry.AuthConfig{Token: "t"}}, &remote.Options{Transport: silent, Retries: -1})
			if err != nil {
				t.Fatal(err)
			}
			err = tc.do(c)
			if d := registry.Diagnose(err); silent.asked.Load() != 1 || !strings.Contains(d.Cause, "does not answer") {
				t.Errorf("got %v (%s) after %d requests", err, d.Cause, silent.asked.Load())
			}
		})
	}
}

// hanging is a registry that does not answer.
type hanging struct{ after time.Duration }

func (h hanging) RoundTrip(*http.Request) (*http.Response, error) {
	time.Sleep(h.after) // of the test's own clock
	return nil, registry.ErrStalled
}

// Who waits for a server that hangs is told so, with its name.
func TestSilenceOfAServerIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := registry.RegistryConfig{URL: "https://git.example.com", Auth: registry.AuthConfig{Token: "x"}}
		c, err := remote.New(config, &remote.Options{Transport: hanging{2 * time.Minute}, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		var notes []string
		err = c.Push(t.Context(), "me/app:1", registry.PushOptions{Progress: func(e registry.Event) { notes = append(notes, e.Note) }})
		if len(notes) != 1 || !strings.Contains(notes[0], "git.example.com") {
			t.Errorf("got %q after %v", notes, err)
		}
	})
}
