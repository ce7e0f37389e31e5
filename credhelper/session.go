package credhelper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
)

const (
	// minLife is how long an access token handed out is good for at least.
	// BuildKit keeps it for five minutes, and Forgejo gives the token that a
	// push uses the access token's own expiry.
	minLife = 15 * time.Minute
	// refreshTimeout bounds a refresh: Docker waits for it.
	refreshTimeout = 10 * time.Second
)

// fresh reports whether the access token may be handed out as it is. Of a
// token that never lived for four times minLife, a quarter is enough.
func (s *session) fresh(now time.Time) bool {
	return s.Expiry.Sub(now) >= min(minLife, s.Expiry.Sub(s.Issued)/4)
}

// accessToken returns an access token of the session. Only a token that is
// about to expire costs a request.
func (h *helper) accessToken(ctx context.Context, host string, e entry, s store.Store) (registry.Secret, error) {
	if e.Session.fresh(h.now()) {
		access, err := s.Read(ctx, e.key(host, store.SlotAccess))
		if !errors.Is(err, store.ErrNoSecret) {
			return access, err
		}
	}
	unlock, err := h.lock(ctx, host, hostLockTimeout)
	if err != nil {
		return registry.Secret{}, err
	}
	defer unlock()
	// Another process may have refreshed it, or changed the login.
	logins, err := h.loadIndex()
	if err != nil {
		return registry.Secret{}, err
	}
	now, exists := logins[host]
	switch {
	case !exists || now.Kind != kindOAuth || now.Storage != e.Storage || now.Username != e.Username:
		return registry.Secret{}, fmt.Errorf("the login to %s has changed meanwhile", host)
	case now.Session.fresh(h.now()):
		access, err := s.Read(ctx, now.key(host, store.SlotAccess))
		if !errors.Is(err, store.ErrNoSecret) {
			return access, err
		}
	}
	return h.refresh(ctx, host, now, s)
}

// refresh fetches a new access token and saves what came with it before it is
// used. The host's lock is held. Once the server has been asked it may have
// replaced the refresh token, so an interrupt no longer stops it.
func (h *helper) refresh(ctx context.Context, host string, e entry, s store.Store) (registry.Secret, error) {
	refreshToken, err := s.Read(ctx, e.key(host, store.SlotLogin))
	if err != nil {
		return registry.Secret{}, err
	}
	h.log.DebugContext(ctx, "refreshing", slog.String("host", host))
	ctx = context.WithoutCancel(ctx)
	token, err := h.exchangeRefresh(ctx, host, e, refreshToken)
	if deadSession(err) {
		// Whoever does not share our lock may have replaced it.
		if again, readErr := s.Read(ctx, e.key(host, store.SlotLogin)); readErr == nil && !sameSecret(again, refreshToken) {
			token, err = h.exchangeRefresh(ctx, host, e, again)
		}
	}
	switch {
	case deadSession(err):
		return registry.Secret{}, advice.Give(fmt.Errorf("the login to %s has ended: %w", host, err), loginHint(host))
	case err != nil && e.Session.Expiry.After(h.now()):
		h.log.DebugContext(ctx, "refresh put off", slog.String("host", host), slog.Any("error", err))
		return s.Read(ctx, e.key(host, store.SlotAccess))
	case err != nil:
		return registry.Secret{}, fmt.Errorf("refresh the login to %s: %w", host, err)
	}
	access := registry.NewSecret(token.AccessToken)
	if err := writeSecrets(ctx, s, host, e, registry.NewSecret(token.RefreshToken), access); err != nil {
		return registry.Secret{}, fmt.Errorf("save the login to %s: %w", host, err)
	}
	renewed := *e.Session
	renewed.Issued, renewed.Expiry = h.now(), token.Expiry
	renewed.Minted = slices.Clone(renewed.Minted)
	renewed.mint(access)
	e.Session = &renewed
	return access, h.updateIndex(ctx, func(all index) { all[host] = e })
}

func (h *helper) exchangeRefresh(ctx context.Context, host string, e entry, refreshToken registry.Secret) (*oauth2.Token, error) {
	limited, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	client := h.httpClient(host, e.Settings)
	defer client.CloseIdleConnections()
	app := oauth2.Config{
		ClientID: e.Session.ClientID,
		Endpoint: oauth2.Endpoint{TokenURL: e.Session.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	token, err := app.TokenSource(
		context.WithValue(limited, oauth2.HTTPClient, client),
		&oauth2.Token{RefreshToken: refreshToken.Reveal()},
	).Token()
	if err != nil {
		return nil, oauthError(ctx, err)
	}
	return token, nil
}
