package registry

import (
	"context"
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
)

// Account is what Gitea's own API says of a credential. It tells apart what
// the registry answers with the same 401: a wrong password, a second factor,
// and a token without the scope for packages. The zero value is an API that
// says nothing.
type Account struct {
	// Status is the API's answer: 200 for a credential that may ask who it
	// is, 403 for a good token without that scope, 401 for a refused one.
	Status int
	// Name is the user's, with status 200.
	Name string
	// SecurityKey: the account has one, so that its password is never enough.
	SecurityKey bool
	// Barred: the account is not activated, or forbidden to sign in.
	Barred bool
	// Factors are how many were given of a login with a password: 1 is the
	// password alone, and 2 that with a one-time code. Any other credential has none.
	Factors int
}

// AccountOf is what an answer of the API to the question who one is tells of the
// account: by its status, with the name in it or with its message.
func AccountOf(status int, name, message string) Account {
	return Account{
		Status: status, Name: printable.Clean(name),
		// The latter is Forgejo's.
		SecurityKey: strings.Contains(message, "WebAuthn") || strings.Contains(message, "security keys enrolled"),
		Barred:      strings.Contains(message, "not activated") || strings.Contains(message, "prohibited from signing in"),
	}
}

// account asks the server whose the credential is, if the registry is Gitea's
// and so is the API: it is nobody else's to see.
//
// Gitea 1.26 routers/api/v1/api.go: GET /user.
func (s *stack) account(ctx context.Context) Account {
	if !s.auth.traits.gitea() || !s.hasAPI(ctx) {
		return Account{}
	}
	var answer struct {
		Login   string `json:"login"`
		Message string `json:"message"`
	}
	status := s.askAPI(ctx, "/api/v1/user", basic(s.auth.current()), &answer)
	return AccountOf(status, answer.Login, answer.Message)
}

// hasAPI reports whether Gitea's API is at the root of the host. Where it tells
// nothing to those without a credential, it refuses in its own form.
func (s *stack) hasAPI(ctx context.Context) bool {
	var answer struct {
		Version string `json:"version"`
		Message string `json:"message"`
	}
	switch s.askAPI(ctx, "/api/v1/version", "", &answer) {
	case http.StatusOK:
		return answer.Version != ""
	case http.StatusUnauthorized, http.StatusForbidden:
		return answer.Message != ""
	}
	return false
}

// version asks the server what it is: "Gitea 1.26.0", or nothing.
func (s *stack) version(ctx context.Context) string {
	var answer struct {
		Version string `json:"version"`
	}
	if s.askAPI(ctx, "/api/v1/version", "", &answer) != http.StatusOK || answer.Version == "" {
		return ""
	}
	// Forgejo's version names the Gitea that it is compatible with.
	if version, _, forgejo := strings.Cut(answer.Version, "+gitea-"); forgejo {
		return "Forgejo " + printable.Clean(version)
	}
	return "Gitea " + printable.Clean(answer.Version)
}

// askAPI decodes the answer of Gitea's API and returns its status. It is zero
// when there is no such API, or none at this place: Gitea may be under a path.
func (s *stack) askAPI(ctx context.Context, path, authorization string, answer any) (status int) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint.URL(path), nil)
	if err != nil {
		return 0
	}
	resp, err := s.auth.base.RoundTrip(withAuthorization(req, authorization))
	if err != nil {
		return 0
	}
	defer drain(resp)
	if json.NewDecoder(io.LimitReader(resp.Body, maxTokenBody)).Decode(answer) != nil {
		return 0
	}
	return resp.StatusCode
}

// identify adds to an answer that refuses something to the client whom the
// server takes it for, so that [Diagnose] can say what is missing.
func (s *stack) identify(ctx context.Context, err error) error {
	var answer *Error
	if !errors.As(err, &answer) {
		return err
	}
	switch credential := s.auth.current(); {
	case answer.Is(ErrUnauthorized):
		answer.Origin = credential.Refused()
	case answer.Is(ErrDenied):
		answer.Origin = credential.Origin
	}
	switch {
	case s.auth.anonymous():
		answer.Identity.Anonymous = true
	case answer.Is(ErrDenied):
		answer.Identity, answer.Account = s.auth.identity(), s.account(ctx)
	case answer.Is(ErrUnauthorized):
		answer.Account = s.account(ctx)
	}
	return err
}
