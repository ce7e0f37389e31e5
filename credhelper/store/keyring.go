package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/zalando/go-keyring"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/registry"
)

// keyringStore keeps secrets in the system's keyring: the macOS Keychain, the
// Windows Credential Manager, or the Secret Service of a Linux desktop.
type keyringStore struct{ Patience }

// service and account name a secret in the keyring. The login's account is the
// bare user name, as keyring viewers show it.
func (k Key) service() string { return program + ":" + k.Host }

func (k Key) account() string {
	if k.Slot == SlotLogin {
		return k.Username
	}
	return k.Username + "#" + string(k.Slot)
}

func (s keyringStore) Check(ctx context.Context) error {
	err := s.probe(ctx, s.Asks)
	if errors.Is(err, ErrLocked) {
		return advice.Give(err, "unlock it, or let it ask you: "+program+" doctor HOST")
	}
	return err
}

func (s keyringStore) probe(ctx context.Context, asks bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	return probeKeyring(ctx, asks)
}

// call runs a call of the keyring once it is known to answer.
func (s keyringStore) call(ctx context.Context, call func() (string, error)) (string, error) {
	if err := s.Check(ctx); err != nil {
		return "", fmt.Errorf("keyring: %w", err)
	}
	value, err := within(ctx, s.Limit, call)
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return "", ErrNoSecret
	case err == nil:
		return value, nil
	case runtime.GOOS == "darwin":
		return "", advice.Give(fmt.Errorf("keyring: %w", err), "over ssh the keychain is locked; unlock it first: security unlock-keychain")
	case errors.Is(s.probe(ctx, false), ErrLocked):
		return "", advice.Give(fmt.Errorf("keyring: %w, and could not ask for its password: %w", ErrLocked, err), unlockHint)
	}
	return "", fmt.Errorf("keyring: %w", err)
}

// unlockHint is for a keyring that asks for its password on a desktop that
// nobody sees.
const unlockHint = "unlock it on the desktop, or here: gnome-keyring-daemon --replace --unlock, then its password and Ctrl-D; or keep logins elsewhere: --storage pass"

func (s keyringStore) Read(ctx context.Context, k Key) (registry.Secret, error) {
	value, err := s.call(ctx, func() (string, error) { return keyring.Get(k.service(), k.account()) })
	return registry.NewSecret(value), err
}

func (s keyringStore) Write(ctx context.Context, k Key, secret registry.Secret) error {
	_, err := s.call(ctx, func() (string, error) {
		return "", keyring.Set(k.service(), k.account(), secret.Reveal())
	})
	return err
}

func (s keyringStore) Remove(ctx context.Context, k Key) error {
	_, err := s.call(ctx, func() (string, error) { return "", keyring.Delete(k.service(), k.account()) })
	if errors.Is(err, ErrNoSecret) {
		return nil
	}
	return err
}
