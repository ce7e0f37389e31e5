package credhelper

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/zalando/go-keyring"

	"github.com/docker-gitea/docker-gitea/registry"
)

// keyringStore keeps secrets in the system's keyring: the macOS Keychain, the
// Windows Credential Manager, or the Secret Service of a Linux desktop.
type keyringStore struct{ patience }

// service and account name a secret in the keyring. The login's account is the
// bare user name, as keyring viewers show it.
func (k key) service() string { return program + ":" + k.host }

func (k key) account() string {
	if k.slot == slotLogin {
		return k.username
	}
	return k.username + "#" + string(k.slot)
}

func (s keyringStore) check(ctx context.Context) error {
	err := s.probe(ctx, s.asks)
	if errors.Is(err, errLocked) {
		return advise(err, "unlock it, or let it ask you: "+program+" doctor HOST")
	}
	return err
}

func (s keyringStore) probe(ctx context.Context, asks bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return probeKeyring(ctx, asks)
}

// call runs a call of the keyring once it is known to answer.
func (s keyringStore) call(ctx context.Context, call func() (string, error)) (string, error) {
	if err := s.check(ctx); err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	value, err := within(ctx, s.limit, call)
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return "", errNoSecret
	case err == nil:
		return value, nil
	case runtime.GOOS == "darwin":
		return "", advise(fmt.Errorf("keyring: %w", err), "over ssh the keychain is locked; unlock it first: security unlock-keychain")
	case errors.Is(s.probe(ctx, false), errLocked):
		return "", advise(fmt.Errorf("keyring: %w, and could not ask for its password: %w", errLocked, err), unlockHint)
	}
	return "", fmt.Errorf("keyring: %w", err)
}

// unlockHint is for a keyring that asks for its password on a desktop that
// nobody sees.
const unlockHint = "unlock it on the desktop, or here: gnome-keyring-daemon --replace --unlock, then its password and Ctrl-D; or keep logins elsewhere: --storage pass"

func (s keyringStore) read(ctx context.Context, k key) (registry.Secret, error) {
	value, err := s.call(ctx, func() (string, error) { return keyring.Get(k.service(), k.account()) })
	return registry.NewSecret(value), err
}

func (s keyringStore) write(ctx context.Context, k key, secret registry.Secret) error {
	_, err := s.call(ctx, func() (string, error) {
		return "", keyring.Set(k.service(), k.account(), secret.Reveal())
	})
	return err
}

func (s keyringStore) remove(ctx context.Context, k key) error {
	_, err := s.call(ctx, func() (string, error) { return "", keyring.Delete(k.service(), k.account()) })
	if errors.Is(err, errNoSecret) {
		return nil
	}
	return err
}
