package credhelper

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
)

// hostLockTimeout bounds the wait for another process that refreshes the same
// host's session, which takes refreshTimeout and the store's calls.
const hostLockTimeout = 30 * time.Second

// lookup finds the credential for host: the environment's, or the login's.
func (h *helper) lookup(ctx context.Context, host string) (credential, error) {
	if c, ok := environmentCredential(h.Getenv, host); ok {
		if err := c.check(); err != nil {
			return credential{}, fmt.Errorf("%s: %w", c.from, err)
		}
		return c.credential, nil
	}
	logins, err := h.loadIndex()
	if err != nil {
		return credential{}, err
	}
	e, ok := logins[host]
	if !ok {
		if variable := h.emptyVariable(host); variable != "" {
			fmt.Fprintf(h.Stderr, "%s: %s is set, but empty, and there is no login to %s\n", program, variable, host)
		}
		return credential{}, credentials.NewErrCredentialsNotFound()
	}
	secret, err := h.secret(ctx, host, e)
	if errors.Is(err, store.ErrNoSecret) {
		err = advice.Give(fmt.Errorf("the login to %s is gone from its store (%s)", host, e.Storage), loginHint(host))
	}
	return credential{e.Username, secret, kept}, err
}

// kept is the origin of what a login stored, or a browser gave to it.
var kept = registry.Origin{Kind: registry.OriginHelper, Name: program}

// given is the origin of what an option has read from standard input or from the
// terminal.
func given(option string) registry.Origin {
	return registry.Origin{Kind: registry.OriginOption, Name: option}
}

func (h *helper) secret(ctx context.Context, host string, e entry) (registry.Secret, error) {
	s, err := h.openStore(e.Storage)
	if err != nil {
		return registry.Secret{}, err
	}
	if e.Kind == kindOAuth {
		return h.accessToken(ctx, host, e, s)
	}
	return s.Read(ctx, e.key(host, store.SlotLogin))
}

// accept stores a credential that comes from Docker, unless it is one that
// came from here.
func (h *helper) accept(ctx context.Context, host, address string, given credential) error {
	if c, ok := environmentCredential(h.Getenv, host); ok && sameSecret(c.secret, given.secret) {
		return nil
	}
	logins, err := h.loadIndex()
	if err != nil {
		return err
	}
	before := logins[host]
	if before.Session != nil && slices.Contains(before.Session.Minted, fingerprint(given.secret)) {
		h.log.DebugContext(ctx, "kept the session whose token came back", slog.String("host", host))
		return nil
	}
	merged, err := h.settingsFor(host, settings{}, before)
	if err != nil {
		return err
	}
	storage, err := h.chooseStore(ctx, merged.Storage)
	if err != nil {
		return err
	}
	return h.save(ctx, host, entry{
		Username: given.username,
		Kind:     kindToken,
		Storage:  storage,
		Address:  address,
		Settings: before.Settings,
	}, given.secret, registry.Secret{})
}

func sameSecret(a, b registry.Secret) bool {
	return subtle.ConstantTimeCompare([]byte(a.Reveal()), []byte(b.Reveal())) == 1
}

// save stores a login in place of the host's old one. The secrets go first: a
// login that the index names is whole.
func (h *helper) save(ctx context.Context, host string, e entry, login, access registry.Secret) error {
	unlock, err := h.lock(ctx, host, hostLockTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	logins, err := h.loadIndex()
	if err != nil {
		return err
	}
	s, err := h.openStore(e.Storage)
	if err != nil {
		return err
	}
	if err := writeSecrets(ctx, s, host, e, login, access); err != nil {
		return err
	}
	if err := h.updateIndex(ctx, func(all index) { all[host] = e }); err != nil {
		return err
	}
	before, exists := logins[host]
	if !exists || before.Storage == e.Storage && before.Username == e.Username && before.Kind == e.Kind {
		return nil
	}
	return h.removeSecrets(ctx, host, before, e)
}

// writeSecrets writes the refresh token before the access token: a process that is
// killed between the two loses nothing that it cannot get again.
func writeSecrets(ctx context.Context, s store.Store, host string, e entry, login, access registry.Secret) error {
	if err := s.Write(ctx, e.key(host, store.SlotLogin), login); err != nil {
		return err
	}
	if access.IsZero() {
		return nil
	}
	return s.Write(ctx, e.key(host, store.SlotAccess), access)
}

// removeSecrets removes the secrets of a login, but for those that kept has
// taken over. The zero entry takes over none.
func (h *helper) removeSecrets(ctx context.Context, host string, e, kept entry) error {
	s, err := h.openStore(e.Storage)
	if err != nil {
		return err
	}
	var errs []error
	// The keyring alone tells users apart.
	sameStore := e.Storage == kept.Storage && (e.Storage != store.Keyring || e.Username == kept.Username)
	if !sameStore {
		errs = append(errs, s.Remove(ctx, e.key(host, store.SlotLogin)))
	}
	if e.Kind == kindOAuth && (!sameStore || kept.Kind != kindOAuth) {
		errs = append(errs, s.Remove(ctx, e.key(host, store.SlotAccess)))
	}
	return errors.Join(errs...)
}

// forget removes a login and returns it. Without one it does nothing.
func (h *helper) forget(ctx context.Context, host string) (entry, error) {
	// Asked before the lock, so that nothing is created for nothing.
	if logins, err := h.loadIndex(); err != nil || logins[host].Storage == "" {
		return entry{}, err
	}
	unlock, err := h.lock(ctx, host, hostLockTimeout)
	if err != nil {
		return entry{}, err
	}
	defer unlock()
	logins, err := h.loadIndex()
	if err != nil {
		return entry{}, err
	}
	e, exists := logins[host]
	if !exists {
		return entry{}, nil
	}
	if err := h.removeSecrets(ctx, host, e, entry{}); err != nil {
		return entry{}, err
	}
	return e, h.updateIndex(ctx, func(all index) { delete(all, host) })
}

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
	err := s.call(ctx, question{"revoke the access token", http.MethodDelete, s.root + "/api/v1/token", account{token: token}}, nil, nil)
	if hasStatus(err, http.StatusNotFound) || hasStatus(err, http.StatusMethodNotAllowed) {
		return fmt.Errorf("this server cannot do that (Gitea can since 1.27): %w", err)
	}
	return err
}
