package wire

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// authorizer adds the credential to requests to the registry, which is what is
// below /v2/ of its origin, and to nothing else: neither to another origin, nor
// to other programs behind the same name. It learns from the first 401 what the
// registry wants, fetches one token a scope, shares it, and replaces it before
// it expires or when it is refused.
//
// Gitea 1.26 sends two WWW-Authenticate headers (Bearer and Basic), gives its
// tokens by GET alone, and ignores the scope.
type authorizer struct {
	base     http.RoundTripper
	endpoint endpoint.Endpoint
	now      func() time.Time
	traits   *Traits
	flights  singleflight.Group

	// mu guards the fields below. It is not held during requests.
	mu         sync.Mutex
	credential registry.AuthConfig
	challenge  response.Challenge // the one in use; zero until the first 401
	// accepted has the scopes that the registry took the credential for: Gitea gives
	// a token only then, others may give one that allows nothing.
	accepted   map[string]bool
	tokens     map[string]token
	notice     string // what is odd about the realm, for the user
	introduced bool   // the registry was asked for a token, or how to get one
}

// RoundTrip implements [http.RoundTripper]. A 401 that says nothing of the
// credential is an error that is [registry.ErrBusy].
func (a *authorizer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := a.authorized(req)
	if err != nil || !a.own(req.URL) || !endpoint.OfRegistry(req.URL) {
		return resp, err
	}
	scope := InfoOf(req.Context()).Scope
	if req.Method != http.MethodGet && req.Method != http.MethodHead && resp.StatusCode < http.StatusMultipleChoices {
		a.accept(scope)
	}
	if resp.StatusCode != http.StatusUnauthorized || response.Denied(response.Challenges(resp.Header.Values("WWW-Authenticate"))) || !response.ProvesRegistry(resp, "", nil) || !a.outOfBreath(req.Context(), scope) {
		return resp, nil
	}
	defer response.Drain(resp)
	e := response.Error("ask registry", req, resp)
	e.Kind = registry.ErrBusy
	return nil, e
}

func (a *authorizer) accept(scope string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accepted[a.key(a.challenge, scope)] = true
}

// outOfBreath reports that a 401 says nothing of the credential: the registry
// accepted it before, or Gitea says itself that something is wrong with it. (When
// its database gives it no connection, Gitea 1.27 does not find the token that
// was sent, and answers as if there were none.)
func (a *authorizer) outOfBreath(ctx context.Context, scope string) bool {
	a.mu.Lock()
	accepted, known := a.accepted[a.key(a.challenge, scope)], !a.credential.IsZero()
	a.mu.Unlock()
	return known && (accepted || a.unwell(ctx))
}

// unwell asks Gitea whether it works (routers/web/healthcheck). A Gitea
// under a path, or behind a proxy that does not pass this on, gives no such answer.
func (a *authorizer) unwell(ctx context.Context) bool {
	if !a.traits.Gitea() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.endpoint.URL("/api/healthz"), nil)
	if err != nil {
		return false
	}
	resp, err := a.base.RoundTrip(req)
	if err != nil {
		return false
	}
	defer response.Drain(resp)
	var health struct {
		Status string `json:"status"`
	}
	err = json.Unmarshal(response.ReadBriefly(resp.Body, response.MaxErrorBody), &health)
	return err == nil && health.Status == "fail"
}

// authorized performs a request as far as the credential takes it.
func (a *authorizer) authorized(req *http.Request) (*http.Response, error) {
	if !a.own(req.URL) {
		return a.base.RoundTrip(withAuthorization(req, ""))
	}
	if !endpoint.OfRegistry(req.URL) {
		return a.beside(req)
	}
	scope := InfoOf(req.Context()).Scope
	header, err := a.header(req.Context(), scope, "")
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := a.base.RoundTrip(withAuthorization(req, header))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if !a.learn(resp.Header, header) {
		return resp, nil
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return resp, nil
	}
	renewed, err := a.header(req.Context(), scope, header)
	if err != nil {
		response.Drain(resp)
		return nil, err
	}
	if renewed == header {
		return resp, nil
	}
	response.Drain(resp)
	again, err := rewind(req, true)
	if err != nil {
		return nil, err
	}
	return a.base.RoundTrip(withAuthorization(again, renewed))
}

// beside performs a request to the registry's origin, but to another place than
// the registry's. Where an upload is led to gets the token that the registry
// gave for it (Google's has its uploads there), never the credential, and
// nobody there is asked what else is wanted. A redirect leads to somebody else.
func (a *authorizer) beside(req *http.Request) (*http.Response, error) {
	header := ""
	if req.Response == nil {
		var err error
		if header, err = a.header(req.Context(), InfoOf(req.Context()).Scope, ""); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	if !strings.HasPrefix(header, "Bearer ") {
		header = ""
	}
	return a.base.RoundTrip(withAuthorization(req, header))
}

// own reports whether u is of the registry's own origin.
func (a *authorizer) own(u *url.URL) bool { return a.endpoint.Owns(u) }

func withAuthorization(req *http.Request, header string) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Del("Authorization")
	if header != "" {
		req.Header.Set("Authorization", header)
	}
	return req
}

// learn takes note of the challenges of a 401 and reports whether another try
// can help.
func (a *authorizer) learn(header http.Header, sent string) bool {
	offered := response.Challenges(header.Values("WWW-Authenticate"))
	a.traits.Challenged(offered)
	if response.Denied(offered) && sent != "" {
		// Authenticated, but not allowed: a new token will not change that
		// unless this one has expired meanwhile.
		return strings.HasPrefix(sent, "Bearer ") && a.anyDue()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	best, ok := choose(offered)
	if ok {
		a.challenge = best
	}
	return a.challenge.Scheme != ""
}

// unasked reports whether there is a credential, and nothing is known yet of
// what the registry wants with it.
func (a *authorizer) unasked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.challenge.Scheme == "" && !a.introduced && !a.credential.IsZero()
}

// use replaces the credential and forgets every token.
func (a *authorizer) use(credential registry.AuthConfig) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.credential = credential
	a.tokens, a.accepted = map[string]token{}, map[string]bool{}
}

// current is the credential in use.
func (a *authorizer) current() registry.AuthConfig {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.credential
}

// anonymous reports whether there is no credential.
func (a *authorizer) anonymous() bool { return a.current().IsZero() }

// identity reads the tokens in use.
func (a *authorizer) identity() registry.Identity {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tokens {
		if id := registry.ParseIdentity(t.value.Reveal()); id != (registry.Identity{}) {
			return id
		}
	}
	return registry.Identity{}
}

// basic is the Basic header of a credential; empty when it is anonymous. Gitea
// takes a token as the password, with any user name.
func basic(credential registry.AuthConfig) string {
	user, password := credential.Username, credential.Password
	if credential.Token != "" {
		password = credential.Token
		if user == "" {
			user = "token"
		}
	}
	if user == "" && password == "" {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// introducer sends the credential itself, since only the registry knows its
// tokens, to the API that path is of.
type introducer struct {
	*authorizer
	path string
}
