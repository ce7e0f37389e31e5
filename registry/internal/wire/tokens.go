package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// token is a bearer token for one scope.
type token struct {
	value   registry.Secret
	expires time.Time
	renew   time.Time
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

// ofGitea reports whether a token is one of Gitea's or Forgejo's own.
func ofGitea(jwt string) bool {
	return registry.ParseIdentity(jwt).UserID != 0
}

const (
	tokenTimeout  = 30 * time.Second
	maxTokenBody  = 64 << 10
	defaultExpiry = 60 * time.Second // token authentication specification, "Token Response Fields"
)
