package wire

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/endpoint"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
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
	// accepted has the scopes for which the registry took the credential: Gitea
	// gives a token to nobody else, others may give one that allows nothing.
	accepted   map[string]bool
	tokens     map[string]token
	notice     string // what is odd about the realm, for the user
	introduced bool   // the registry was asked for a token, or how to get one
}

// token is a bearer token for one scope.
type token struct {
	value   registry.Secret
	expires time.Time
	renew   time.Time
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

// unwell asks Gitea whether it works (routers/web/healthcheck). Whoever has it
// under a path, or does not pass that on, gets no answer of that form.
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

// choose prefers Bearer: a password sent with each request is hashed by the
// server each time.
func choose(offered []response.Challenge) (response.Challenge, bool) {
	for _, scheme := range []string{"bearer", "basic"} {
		for _, c := range offered {
			if c.Scheme == scheme {
				return c, true
			}
		}
	}
	return response.Challenge{}, false
}

// anyDue reports whether a token in use should have been renewed.
func (a *authorizer) anyDue() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tokens {
		if !a.now().Before(t.renew) {
			return true
		}
	}
	return false
}

// header returns the value of the Authorization header for a scope; empty when
// nothing is known to be needed. A value equal to refused is not given again.
func (a *authorizer) header(ctx context.Context, scope, refused string) (string, error) {
	a.mu.Lock()
	c, credential := a.challenge, a.credential
	known, found := a.tokens[a.key(c, scope)]
	a.mu.Unlock()

	switch c.Scheme {
	case "":
		return "", nil
	case "basic":
		return basic(credential), nil
	}
	if value := "Bearer " + known.value.Reveal(); found && value != refused && a.now().Before(known.renew) {
		return value, nil
	}
	t, err := a.fetchOnce(ctx, c, credential, scope)
	if err == nil {
		return "Bearer " + t.value.Reveal(), nil
	}
	if value := "Bearer " + known.value.Reveal(); found && value != refused && a.now().Before(known.expires) {
		return value, nil // still good; the next request asks again
	}
	return "", err
}

// key is what a token is kept under. Gitea's challenge has the scope "*".
func (a *authorizer) key(c response.Challenge, scope string) string {
	if c.Params["scope"] == "*" {
		return "*"
	}
	return scope
}

// fetchOnce fetches a token, together with all others who want the same.
func (a *authorizer) fetchOnce(ctx context.Context, c response.Challenge, credential registry.AuthConfig, scope string) (token, error) {
	key := a.key(c, scope)
	result := a.flights.DoChan(key, func() (any, error) {
		// Those who wait must not fail because the first one is cancelled.
		t, err := a.fetch(context.WithoutCancel(ctx), c, credential, scope)
		if err != nil {
			return nil, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.credential == credential {
			a.tokens[key] = t
			a.accepted[key] = ofGitea(t.value.Reveal())
		}
		return t, nil
	})
	select {
	case <-ctx.Done():
		return token{}, ctx.Err()
	case r := <-result:
		if answer, ok := errors.AsType[*registry.Error](r.Err); ok {
			own := *answer // each push adds to its own
			return token{}, &own
		}
		if r.Err != nil {
			return token{}, r.Err
		}
		return r.Val.(token), nil //nolint:forcetypeassert,errcheck // the function above gives nothing else
	}
}

const (
	tokenTimeout  = 30 * time.Second
	maxTokenBody  = 64 << 10
	defaultExpiry = 60 * time.Second // token authentication specification, "Token Response Fields"
)

// tokenServices are the registries that are known to have their token service on
// another host, with that.
var tokenServices = map[string]string{"registry-1.docker.io": "auth.docker.io", "registry.gitlab.com": "gitlab.com"}

// servedBy reports whether u is of the known token service of the registry.
func (a *authorizer) servedBy(u *url.URL) bool {
	host, known := tokenServices[a.endpoint.Host]
	return known && a.endpoint.Scheme == "https" && u.Scheme == "https" && u.Host == host
}

// fetch asks the token service. A realm elsewhere never sees the credential,
// but those of [tokenServices].
func (a *authorizer) fetch(ctx context.Context, c response.Challenge, credential registry.AuthConfig, scope string) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	address := a.realm(c)
	query := address.Query()
	if service := c.Params["service"]; service != "" {
		query.Set("service", service)
	}
	for s := range strings.FieldsSeq(a.key(c, scope)) {
		if s != "*" {
			query.Add("scope", s)
		}
	}
	address.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return token{}, fmt.Errorf("get token: %w", err)
	}
	resp, err := a.base.RoundTrip(withAuthorization(req, basic(credential)))
	if err != nil {
		return token{}, fmt.Errorf("get token: %w", err)
	}
	defer response.Drain(resp)
	if resp.StatusCode != http.StatusOK {
		e := response.Error("get token", req, resp)
		if e.Is(registry.ErrUnauthorized) && a.outOfBreath(ctx, scope) {
			e.Kind = registry.ErrBusy
		}
		return token{}, e
	}
	return a.read(resp.Body)
}

// unasked reports whether there is a credential, and nothing is known yet of
// what the registry wants with it.
func (a *authorizer) unasked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.challenge.Scheme == "" && !a.introduced && !a.credential.IsZero()
}

// introduce gets a token without having been asked for one, or learns from the
// refusal how the registry wants to be asked. Without a credential it only asks.
func (a *authorizer) introduce(ctx context.Context, credential registry.AuthConfig) error {
	address := a.endpoint.URL("/v2/token")
	if credential.IsZero() {
		address = a.endpoint.URL("/v2/")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := a.base.RoundTrip(withAuthorization(req, basic(credential)))
	if err != nil {
		return err
	}
	defer response.Drain(resp)
	if resp.StatusCode == http.StatusOK && !credential.IsZero() {
		t, err := a.read(resp.Body)
		if err != nil {
			return err
		}
		if ofGitea(t.value.Reveal()) { // others may have a token service there too
			a.traits.found(softwareGitea)
		}
		// What Gitea and Forgejo ask for (routers/api/packages/container/container.go).
		asked := response.Challenge{Scheme: "bearer", Params: map[string]string{"realm": address, "service": response.GiteaService, "scope": "*"}}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.challenge, a.tokens[a.key(asked, "")] = asked, t
		a.accepted[a.key(asked, "")] = ofGitea(t.value.Reveal())
		return nil
	}
	a.learn(resp.Header, "")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.introduced = true
	return nil
}

// realm is the address of the token service. A realm on another host, port or
// scheme is what Gitea shows when ROOT_URL, Host or X-Forwarded-Proto are off
// behind a proxy: its own /v2/token serves as well. What a registry says does not
// make another host its token service; see [tokenServices].
func (a *authorizer) realm(c response.Challenge) *url.URL {
	fallback := &url.URL{Scheme: a.endpoint.Scheme, Host: a.endpoint.Host, Path: "/v2/token"}
	u, err := url.Parse(c.Params["realm"])
	if err == nil && (a.own(u) || a.servedBy(u)) && u.User == nil && !strings.Contains(u.Path, "..") {
		return u
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notice = fmt.Sprintf("the registry names %q as its token service; used %s instead (on the server, ROOT_URL or the proxy's Host and X-Forwarded-Proto headers are off)",
		printable.Clean(c.Params["realm"]), fallback)
	return fallback
}

// takeNotice returns what is odd about the realm, once.
func (a *authorizer) takeNotice() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	notice := a.notice
	a.notice = ""
	return notice
}

// read parses a token response. Gitea's has no expiry: its token is a JWT
// whose claims tell.
func (a *authorizer) read(body io.ReadCloser) (token, error) {
	data, err := response.ReadWithin(body, maxTokenBody, tokenTimeout)
	if err != nil {
		return token{}, fmt.Errorf("get token: %w", err)
	}
	var granted struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.Unmarshal(data, &granted); err != nil {
		return token{}, fmt.Errorf("get token: malformed answer: %w", err)
	}
	value := granted.Token
	if value == "" {
		value = granted.AccessToken
	}
	if value == "" || printable.HasControl(value) {
		return token{}, errors.New("get token: no token in the answer")
	}
	now := a.now()
	life := defaultExpiry
	if granted.ExpiresIn > 0 {
		life = time.Duration(granted.ExpiresIn) * time.Second
	} else if id := registry.ParseIdentity(value); !id.Expires.IsZero() {
		life = id.Expires.Sub(now)
	}
	return token{value: registry.NewSecret(value), expires: now.Add(life), renew: now.Add(life - min(life/5, 2*time.Minute))}, nil
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

// ofGitea reports whether a token is one of Gitea's or Forgejo's own.
func ofGitea(jwt string) bool {
	return registry.ParseIdentity(jwt).UserID != 0
}

// introducer sends the credential itself, since only the registry knows its
// tokens, to the API that path is of.
type introducer struct {
	*authorizer
	path string
}
