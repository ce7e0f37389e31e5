// Package wire is the way to one registry with one credential: tokens, retries, what
// is known of the registry, and which user it takes the client for. Package response
// says what an answer means; packages repo and upload have the requests.
//
// A request passes these layers. Each does one thing:
//
//	retrier      other requests than uploads: again after a passing failure
//	  authorizer   adds the token, fetches a new one on 401   (auth.go)
//	    meter        user agent, TLS errors, log, count
//	      Transport    Go's, with the TLS settings of the host that is asked,
//	                   and stall detection                (package transport)
//
// Uploads enter below the retrier: their retries belong to package upload alone.
//
// It takes a request and gives the answer. It holds the credential, the tokens and what is
// known of the registry, and touches no file. Begin with conn.go.
//
//   - conn.go: a connection, and which of the layers a request passes
//   - auth.go: the credential, and who gets it; tokens.go: what it is exchanged for
//   - account.go: what the server's own API says of the credential
//   - traits.go: what the registry is
//   - retry.go, meter.go, silence.go: the other layers, and a word when nothing moves
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// Config is what a [Conn] is made of.
type Config struct {
	Endpoint   endpoint.Endpoint
	Credential registry.AuthConfig
	// Base performs one request; see [NewMeter].
	Base http.RoundTripper
	// Ahead begins n connections to an address; see [transport.Transport.Ahead]. It may
	// be nil.
	Ahead func(address string, n int)
	// Traits are those of the registry, which all connections to it share.
	Traits *Traits
	// Retries is how often a request is tried again, and Backoff the wait before.
	Retries int
	Backoff func(n int) time.Duration
}

// Conn is the way to one registry with one credential. It is safe for concurrent
// use.
type Conn struct {
	config Config
	auth   *authorizer
}

// New returns a connection; nothing is asked yet.
func New(c Config) *Conn {
	auth := &authorizer{
		base: c.Base, endpoint: c.Endpoint, traits: c.Traits, now: time.Now, credential: c.Credential,
		tokens: map[string]token{}, accepted: map[string]bool{},
	}
	c.Credential = registry.AuthConfig{} // the authorizer has it
	return &Conn{config: c, auth: auth}
}

// With is the same way with another credential.
func (s *Conn) With(credential registry.AuthConfig) *Conn {
	c := s.config
	c.Endpoint, c.Credential = s.Endpoint(), credential
	return New(c)
}

// Endpoint is where the registry is.
func (s *Conn) Endpoint() endpoint.Endpoint { return s.auth.endpoint }

// Traits are those of the registry.
func (s *Conn) Traits() *Traits { return s.config.Traits }

// Retries is how often a request is tried again.
func (s *Conn) Retries() int { return s.config.Retries }

// Backoff is the wait before the n-th try.
func (s *Conn) Backoff(n int) time.Duration { return s.config.Backoff(n) }

// Ahead begins n connections, for requests that will follow side by side: by the time that
// a token has come, they are made.
func (s *Conn) Ahead(n int) {
	if s.config.Ahead != nil {
		s.config.Ahead(s.Endpoint().URL("/v2/"), n)
	}
}

// Do performs a request with the credential, again after a passing failure, and
// follows the redirects of those that only read.
func (s *Conn) Do(req *http.Request) (*http.Response, error) {
	return s.through(s.retrier(s.auth), Follow, req)
}

// Try is Do that tries once.
func (s *Conn) Try(req *http.Request) (*http.Response, error) {
	return s.through(s.auth, Follow, req)
}

// Once performs a request with the credential, and nothing more: uploads have their
// own retries.
func (s *Conn) Once(req *http.Request) (*http.Response, error) { return s.auth.RoundTrip(req) }

// Bare is Do without the credential. follow decides about redirects.
func (s *Conn) Bare(req *http.Request, follow redirects) (*http.Response, error) {
	return s.through(s.retrier(s.auth.base), follow, req)
}

// Direct is Do with the credential itself in the place of a token: for an API at path
// api of the registry's host, which does not know the registry's tokens; or for the
// registry itself, where fetching a token would take longer than the rest.
func (s *Conn) Direct(req *http.Request, api string, follow redirects) (*http.Response, error) {
	return s.through(s.retrier(introducer{s.auth, api}), follow, req)
}

// redirects decides about a redirect, as [http.Client.CheckRedirect] does.
type redirects func(req *http.Request, via []*http.Request) error

// Stay follows no redirect: it is the answer.
func Stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Within follows redirects in the registry's origin. Any other is the answer.
func (s *Conn) Within(req *http.Request, via []*http.Request) error {
	if !s.Owns(req.URL) {
		return http.ErrUseLastResponse
	}
	return Follow(req, via)
}

func (s *Conn) through(layers http.RoundTripper, follow redirects, req *http.Request) (*http.Response, error) {
	client := &http.Client{Transport: layers, CheckRedirect: follow}
	resp, err := client.Do(req)
	return resp, unwrapURL(err)
}

// retrier is the layer above base that tries again.
func (s *Conn) retrier(base http.RoundTripper) *retrier {
	return &retrier{base: base, retries: s.config.Retries, backoff: s.config.Backoff}
}

// CloseIdle closes the connections that are not in use.
func (s *Conn) CloseIdle() { (&http.Client{Transport: s.auth.base}).CloseIdleConnections() }

// Owns reports whether u is of the registry's own origin.
func (s *Conn) Owns(u *url.URL) bool { return s.auth.own(u) }

// Credential is the one in use.
func (s *Conn) Credential() registry.AuthConfig { return s.auth.current() }

// Use replaces it, and forgets every token.
func (s *Conn) Use(credential registry.AuthConfig) { s.auth.use(credential) }

// Anonymous reports whether there is no credential.
func (s *Conn) Anonymous() bool { return s.auth.anonymous() }

// Identity is the user that the registry takes the client for, as its tokens tell.
func (s *Conn) Identity() registry.Identity { return s.auth.identity() }

// Notice is what is odd about the realm, for the user; it is told once.
func (s *Conn) Notice() string { return s.auth.takeNotice() }

// Unasked reports whether there is a credential, and nothing is known yet of what
// the registry wants with it.
func (s *Conn) Unasked() bool { return s.auth.unasked() }

// Greeting makes the first request to a registry.
type Greeting func(context.Context, *Conn) error

// Meet lets greet make the first request, which finds out two things at once:
// what greet wants to know, and whether a loopback address without a scheme
// speaks TLS, which is tried first, as Docker does. What else goes wrong shows
// again, with its cause, in the request proper; but a silence, where nothing is
// tried again, is not waited for a second time.
func (s *Conn) Meet(ctx context.Context, greet Greeting) error {
	probe := !s.auth.endpoint.Chosen && s.auth.endpoint.Loopback()
	if greet == nil || s.auth.anonymous() {
		if !probe {
			return nil
		}
		greet = func(ctx context.Context, s *Conn) error { return s.auth.introduce(ctx, registry.AuthConfig{}) }
	}
	err := greet(ctx, s)
	if probe && isPlainHTTP(err) {
		s.auth.endpoint.Scheme = "http"
	}
	if silent, ok := errors.AsType[net.Error](err); ok && silent.Timeout() && InfoOf(ctx).Retries == 0 {
		return err
	}
	return ctx.Err()
}

// isPlainHTTP reports that what was asked by TLS speaks plain HTTP.
func isPlainHTTP(err error) bool {
	fault, ok := errors.AsType[*registry.TLSError](err)
	return ok && fault.PlainHTTP()
}

// Introduce greets with the credential: it is taken straight to where Gitea
// and Forgejo have their token service; any other registry tells, then or in
// the answer to the request proper, how it lets one in.
func Introduce(ctx context.Context, s *Conn) error {
	return s.auth.introduce(ctx, s.auth.current())
}

// Ping asks /v2/, the endpoint that tells whether there is a registry and
// whether it knows the client (OCI distribution specification, end-1).
func (s *Conn) Ping(ctx context.Context) error {
	resp, err := s.base(ctx, s.Do)
	if err != nil {
		return fmt.Errorf("ask registry: %w", err)
	}
	defer response.Drain(resp)
	return response.OfRegistry(resp)
}

// PingBare asks /v2/ without the credential. follow decides about redirects, as for
// [Conn.Bare]. The caller closes the body of the answer, whatever its status.
func (s *Conn) PingBare(ctx context.Context, follow redirects) (*http.Response, error) {
	return s.base(ctx, func(req *http.Request) (*http.Response, error) { return s.Bare(req, follow) })
}

// base has do perform the request of /v2/.
func (s *Conn) base(ctx context.Context, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint().URL("/v2/"), nil)
	if err != nil {
		return nil, err
	}
	return do(req)
}

const maxRedirects = 5

// Follow follows a few redirects of requests that only read, and never
// from TLS to plain HTTP. The authorizer leaves requests to another origin
// without a credential.
func Follow(req *http.Request, via []*http.Request) error {
	req.URL.User = nil        // net/http would make a credential of it
	req.Header.Del("Referer") // its query may be a secret of the host before
	first := via[0]
	switch {
	case first.Method != http.MethodGet && first.Method != http.MethodHead, len(via) > maxRedirects:
		return http.ErrUseLastResponse
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" && response.LedByRegistry(&http.Response{Request: req}):
		return &registry.UnreachableError{
			Host: endpoint.Canonical(first.URL), Err: fmt.Errorf("%w: %w: %s", registry.ErrRedirected, registry.ErrPlainStorage, printable.Clean(req.URL.Scheme+"://"+req.URL.Host)),
		}
	case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s", registry.ErrRedirected, printable.Clean(req.URL.Scheme+"://"+req.URL.Host))
	}
	return nil
}

func (i introducer) RoundTrip(req *http.Request) (*http.Response, error) {
	header := ""
	if i.own(req.URL) && (req.Response == nil || i.sameAPI(req.URL)) {
		header = basic(i.current())
	}
	return i.base.RoundTrip(withAuthorization(req, header))
}

// sameAPI reports whether a redirect stays in the API, where those of a renamed
// owner lead.
func (i introducer) sameAPI(u *url.URL) bool {
	const root = "/api/v1/"
	prefix, _, found := strings.Cut(i.path, root)
	return found && strings.HasPrefix(path.Clean(u.EscapedPath()), prefix+root)
}

// unwrapURL takes off net/http's wrapping, whose text holds the whole URL.
func unwrapURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
