package repo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// StartAddress is the address where uploads begin.
func (r Repo) StartAddress(query url.Values) string {
	address := r.address("blobs/uploads", "")
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// begin asks for an upload, or for what the query says in its place. read gets the
// answer.
func (r Repo) begin(ctx context.Context, op string, query url.Values, read func(*http.Request, *http.Response) error) error {
	lasting, cancel := Lingering(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(lasting, http.MethodPost, r.StartAddress(query), nil)
	if err != nil {
		return err
	}
	resp, err := perform(r.Conn.Do, op, req)
	if err != nil {
		return err
	}
	defer response.Drain(resp)
	return read(req, resp)
}

// Start begins an upload, which takes the right to push, and returns the address of
// its session.
func (r Repo) Start(ctx context.Context) (session string, err error) {
	err = r.begin(ctx, "start upload", nil, func(req *http.Request, resp *http.Response) (err error) {
		if resp.StatusCode != http.StatusAccepted {
			return response.Error("start upload", req, resp)
		}
		session, err = ResolveLocation(req.URL, resp.Header.Get("Location"))
		return err
	})
	return session, err
}

// cleanupTimeout bounds what is tidied up after a push was cancelled.
const cleanupTimeout = 5 * time.Second

// Lingering is a context that outlives ctx for a while. A request that may
// begin an upload session has it, or carry one on: without the answer nobody
// would know which session to remove. (Distribution removes one only by the
// address that its last answer gave.)
func Lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(cleanupTimeout, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// Cancel removes the upload session at location, also after ctx has ended, and
// reports whether the registry answered; err is why the last try failed. It tries
// again, up to retries times, while the registry is still busy with the request that
// was broken off (distribution 2.8 then answers 500). It also tries once more on another
// connection, if the first one no longer works.
func (r Repo) Cancel(ctx context.Context, location string, retries int) (answered bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for n := 1; ; n++ {
		err = r.cancelOnce(ctx, location)
		answer, ok := err.(*registry.Error) //nolint:errorlint // of this request, and of no other that it took
		answered = err == nil || ok
		again := ok && registry.TemporaryStatus(answer.Status) && n <= retries
		if !answered && n == 1 {
			r.Conn.CloseIdle()
			again = true
		}
		if !again || wire.Pause(ctx, r.Conn.Backoff(n)) != nil {
			return answered, err
		}
	}
}

// cancelOnce asks once for the removal of a session.
func (r Repo) cancelOnce(ctx context.Context, location string) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout/2)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, location, nil)
	if err != nil {
		return errors.Join(errors.New("cancel upload"), err)
	}
	resp, err := perform(r.Conn.Once, "cancel upload", req)
	if err != nil {
		return err
	}
	defer response.Drain(resp)
	if resp.StatusCode >= http.StatusMultipleChoices {
		return response.Error("cancel upload", req, resp)
	}
	return nil
}

// WithDigest adds the digest to a session's address, which may have a query.
func WithDigest(location string, d digest.Digest) string {
	separator := "?"
	if strings.Contains(location, "?") {
		separator = "&"
	}
	return location + separator + "digest=" + url.QueryEscape(d.String())
}

// HeldBytes reads the Range of an upload's answer: "0-1023" is 1024 bytes. It is -1
// without one. The specification has no unit in it, but some registries send "bytes=".
func HeldBytes(header string) int64 {
	header = strings.TrimPrefix(strings.TrimPrefix(header, "bytes="), "bytes ")
	first, last, found := strings.Cut(header, "-")
	if !found || first != "0" {
		return -1
	}
	end, err := strconv.ParseInt(last, 10, 62)
	if err != nil || end < 0 {
		return -1
	}
	return end + 1
}

// ResolveLocation is the address of an upload session. A registry behind a proxy that
// ends TLS may name itself with http; the session is still where the request went. An
// upload may go on at another origin, without a credential, but never from TLS to plain
// HTTP.
func ResolveLocation(base *url.URL, location string) (string, error) {
	u, err := base.Parse(location)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("%w: malformed location %q", registry.ErrRedirected, printable.Clean(location))
	}
	if u.Hostname() == base.Hostname() && strings.HasPrefix(u.Path, "/v2/") {
		u.Scheme, u.Host = base.Scheme, base.Host
	}
	u.User = nil
	if base.Scheme == "https" && u.Scheme != "https" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("%w: the upload would go on at %s", registry.ErrRedirected, printable.Clean(u.Scheme+"://"+u.Host))
	}
	return u.String(), nil
}
