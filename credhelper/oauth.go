package credhelper

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/transport"
)

const (
	// publicClient is the application "git-credential-oauth", which Gitea and
	// Forgejo set up by themselves ([oauth2] DEFAULT_APPLICATIONS).
	publicClient     = "a4792ccc-144e-407e-86c9-5e7d8d9c3269"
	publicClientName = "git-credential-oauth"
	// ownScope is asked for by an application of our own. The public one
	// must be asked without: Gitea keeps the scope with the user's grant, and
	// git-credential-oauth would lose its access to repositories.
	ownScope = "write:package"
)

// endpoints are the addresses of a server's OAuth provider.
type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
	UserInfo  string `json:"userinfo_endpoint"`
}

// discover asks the server for its OAuth endpoints, and so for the root of its
// pages: at the path that the user gave, at the root of the host, and where
// the registry's challenge points. Of the answer only what is on the same
// origin is believed: a registry that could send the user to another server's
// consent page would be given a token for that server.
func (s *server) discover(ctx context.Context) (endpoints, error) {
	var errs []error
	for _, root := range s.roots(ctx) {
		var found endpoints
		err := s.call(ctx, question{"ask for the OAuth endpoints", http.MethodGet, root + "/.well-known/openid-configuration", account{}}, nil, &found)
		if err == nil && found.Token != "" {
			s.root = root
			return found.onOrigin(root), nil
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if hasStatus(err, http.StatusNotFound) {
		return endpoints{}, advice.Give(fmt.Errorf("%s has no OAuth: %w", s.origin, err),
			"if Gitea is under a path, give it: "+program+" login "+s.origin+"/PATH; if OAuth is turned off there, use --with-token")
	}
	return endpoints{}, err
}

// roots are the places to look for Gitea's pages, likeliest first.
func (s *server) roots(ctx context.Context) []string {
	roots := []string{s.root}
	for _, next := range []string{s.origin, s.challengeRoot(ctx)} {
		if next != "" && !slices.Contains(roots, next) {
			roots = append(roots, next)
		}
	}
	return roots
}

// challengeRoot is the root that the registry's challenge tells, as far as it
// is on our origin. Forgejo's realm is ROOT_URL + "v2/token", path included.
func (s *server) challengeRoot(ctx context.Context) string {
	resp, err := s.askRegistry(ctx)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	for _, challenge := range resp.Header.Values("WWW-Authenticate") {
		_, rest, _ := strings.Cut(challenge, `realm="`)
		realm, _, _ := strings.Cut(rest, `"`)
		u, err := url.Parse(realm)
		if err != nil {
			continue
		}
		if path, ok := strings.CutSuffix(u.EscapedPath(), "/v2/token"); ok && strings.HasPrefix(path, "/") {
			return s.origin + path
		}
	}
	return ""
}

// onOrigin puts endpoints that are elsewhere back where they were asked for. A
// server whose ROOT_URL is wrong names them wrong. Of the others the path is
// kept, in a form that is fit to be shown.
//
// Source: Gitea routers/web/web.go, "/login/oauth".
func (e endpoints) onOrigin(root string) endpoints {
	place := func(address, path string) string {
		u, err := url.Parse(address)
		if err != nil || !strings.HasPrefix(address, root+"/") {
			return root + path
		}
		return u.Scheme + "://" + u.Host + u.EscapedPath()
	}
	return endpoints{
		Issuer:    e.Issuer,
		Authorize: place(e.Authorize, "/login/oauth/authorize"),
		Token:     place(e.Token, "/login/oauth/access_token"),
		UserInfo:  place(e.UserInfo, "/login/oauth/userinfo"),
	}
}

// authorization is one attempt to be let in by the user's browser.
type authorization struct {
	app      oauth2.Config
	verifier string
	state    string
}

// authorize prepares an attempt: PKCE (RFC 7636) with S256, and a state of 256
// bits, both fresh.
func authorize(e endpoints, s settings, redirectURI string) authorization {
	app := oauth2.Config{
		ClientID:    cmp.Or(s.ClientID, publicClient),
		RedirectURL: redirectURI,
		Endpoint:    oauth2.Endpoint{AuthURL: e.Authorize, TokenURL: e.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	if s.ClientID != "" {
		app.Scopes = []string{cmp.Or(s.Scope, ownScope)}
	}
	// A verifier is 256 random bits, which is what a state wants to be.
	return authorization{app, oauth2.GenerateVerifier(), oauth2.GenerateVerifier()}
}

// url is what the browser opens. It holds no secret: the challenge is a
// digest, and the state is of use to nobody who cannot answer the redirect.
func (a authorization) url() string {
	return a.app.AuthCodeURL(a.state, oauth2.S256ChallengeOption(a.verifier))
}

// exchange trades the code for tokens.
func (a authorization) exchange(ctx context.Context, client *http.Client, code registry.Secret) (*oauth2.Token, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	token, err := a.app.Exchange(ctx, code.Reveal(), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, oauthError(ctx, err)
	}
	if token.RefreshToken == "" {
		return nil, errors.New("the server gave no refresh token")
	}
	return token, nil
}

// userInfo asks for the name of the user who let us in. It is empty where the
// server does not say: since 1.27 Gitea holds a token to its scope, and the
// name wants read:user.
func (s *server) userInfo(ctx context.Context, e endpoints, access registry.Secret) (string, error) {
	var info struct {
		Name string `json:"preferred_username"`
	}
	if err := s.call(ctx, question{"ask who you are", http.MethodGet, e.UserInfo, account{accessToken: access}}, nil, &info); err != nil {
		if hasStatus(err, http.StatusForbidden) {
			return "", nil
		}
		return "", err
	}
	if info.Name == "" {
		return "", errors.New("ask who you are: the answer holds no name")
	}
	return info.Name, nil
}

// tokenError is a refusal of the token endpoint, without the request and the
// body that the library would show.
type tokenError struct {
	code, description string
	status            int
}

func (e *tokenError) Error() string {
	text := fmt.Sprintf("the server refuses: %d %s", e.status, http.StatusText(e.status))
	if e.code != "" {
		text += fmt.Sprintf(": %.60q", e.code)
	}
	if e.description != "" {
		text += fmt.Sprintf(": %.200q", e.description)
	}
	return text
}

// oauthError keeps of the library's errors what may be shown. ctx is without the
// limit of the request itself.
func oauthError(ctx context.Context, err error) error {
	const op = "ask for a token"
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok && refusal.ErrorCode == "": // of another than Gitea
		refusal.Response.Body = io.NopCloser(bytes.NewReader(refusal.Body))
		return transport.AnswerError(op, refusal.Response)
	case ok:
		return &tokenError{refusal.ErrorCode, refusal.ErrorDescription, refusal.Response.StatusCode}
	}
	return fmt.Errorf("%s: %w", op, unreached(ctx, err))
}

// deadSession reports whether the server will never take the refresh token
// again (RFC 6749, section 5.2; Gitea says unauthorized_client of a token that
// was used before or cannot be read).
func deadSession(err error) bool {
	refusal, ok := errors.AsType[*tokenError](err)
	return ok && slices.Contains([]string{"invalid_grant", "unauthorized_client", "invalid_client"}, refusal.code)
}
