package credhelper

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// revokeTimeout bounds the server's part of a logout.
const revokeTimeout = 10 * time.Second

// logout forgets the login of a host, and has the server forget it too where
// it is an access token that the login made. A login that somebody else made
// may be in use elsewhere, and stays.
func (h *helper) logout(ctx context.Context, host string) error {
	revoke := h.revocation(ctx, host)
	gone, err := h.forget(ctx, host)
	if err != nil {
		return err
	}
	if gone.Storage == "" {
		fmt.Fprintf(h.Stderr, "not logged in to %s\n", host)
		return nil
	}
	fmt.Fprintf(h.Stderr, "logged out from %s\n", host)
	pages := ""
	if gone.Settings.RootURL != "" {
		pages = gone.Settings.RootURL + "/user/settings/applications"
	}
	switch err := revoke(ctx); {
	case !gone.Made && pages != "":
		fmt.Fprintf(h.Stderr, "to revoke it at the server as well: %s\n", pages)
	case !gone.Made:
	case err != nil:
		fmt.Fprintf(h.Stderr, "the access token that the login made is still valid: %v\nrevoke it at %s\n", err, pages)
	default:
		fmt.Fprintln(h.Stderr, "the server has revoked the access token that the login made")
	}
	return nil
}

// revocation reads what is needed to revoke a login before that is forgotten.
// Nothing that fails here or at the server keeps anybody from logging out.
func (h *helper) revocation(ctx context.Context, host string) func(context.Context) error {
	fails := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	logins, err := h.loadIndex()
	if err != nil || !logins[host].Made {
		return fails(err)
	}
	token, err := h.secret(ctx, host, logins[host])
	if err != nil {
		return fails(err)
	}
	srv, _, err := h.reach(host, settings{})
	if err != nil {
		return fails(err)
	}
	return func(ctx context.Context) error {
		defer srv.http.CloseIdleConnections()
		return srv.revoke(ctx, token)
	}
}

// revoke deletes an access token at the server, which Gitea offers to the token
// itself since 1.27.
//
// Source: Gitea routers/api/v1/token/token.go, DeleteCurrentToken.
func (s *server) revoke(ctx context.Context, token registry.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, revokeTimeout)
	defer cancel()
	err := s.call(ctx, "revoke the access token", http.MethodDelete, s.root+"/api/v1/token", account{token: token}, nil, nil)
	if hasStatus(err, http.StatusNotFound) || hasStatus(err, http.StatusMethodNotAllowed) {
		return fmt.Errorf("this server cannot do that (Gitea can since 1.27): %w", err)
	}
	return err
}
