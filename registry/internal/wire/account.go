package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/printable"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// Account asks the server whose the credential is, if the registry is Gitea's
// and so is the API: it is nobody else's to see.
//
// Gitea 1.26 routers/api/v1/api.go: GET /user.
func (s *Conn) Account(ctx context.Context) registry.Account {
	if !s.config.Traits.Gitea() || !s.hasAPI(ctx) {
		return registry.Account{}
	}
	var answer struct {
		Login   string `json:"login"`
		Message string `json:"message"`
	}
	status := s.askAPI(ctx, "/api/v1/user", basic(s.auth.current()), &answer)
	return registry.AccountOf(status, answer.Login, answer.Message)
}

// hasAPI reports whether Gitea's API is at the root of the host. Where it tells
// nothing to those without a credential, it refuses in its own form.
func (s *Conn) hasAPI(ctx context.Context) bool {
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

// Version asks the server what it is: "Gitea 1.26.0", or nothing.
func (s *Conn) Version(ctx context.Context) string {
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
func (s *Conn) askAPI(ctx context.Context, path, authorization string, answer any) (status int) {
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint().URL(path), nil)
	if err != nil {
		return 0
	}
	resp, err := s.auth.base.RoundTrip(withAuthorization(req, authorization))
	if err != nil {
		return 0
	}
	defer response.Drain(resp)
	if json.NewDecoder(io.LimitReader(resp.Body, maxTokenBody)).Decode(answer) != nil {
		return 0
	}
	return resp.StatusCode
}

// Identify adds to a refusal the user that the server takes the client for, so that
// [registry.Diagnose] can say what is missing.
func (s *Conn) Identify(ctx context.Context, err error) error {
	var answer *registry.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch credential := s.auth.current(); {
	case answer.Is(registry.ErrUnauthorized):
		answer.Origin = credential.Refused()
	case answer.Is(registry.ErrDenied):
		answer.Origin = credential.Origin
	}
	switch {
	case s.auth.anonymous():
		answer.Identity.Anonymous = true
	case answer.Is(registry.ErrDenied):
		answer.Identity, answer.Account = s.auth.identity(), s.Account(ctx)
	case answer.Is(registry.ErrUnauthorized):
		answer.Account = s.Account(ctx)
	}
	return err
}
