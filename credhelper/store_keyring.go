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
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	return probeKeyring(ctx, s.asks)
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
	case err != nil:
		err = fmt.Errorf("keyring: %w", err)
		if runtime.GOOS == "darwin" {
			err = advise(err, "over ssh the keychain is locked; unlock it first: security unlock-keychain")
		}
		return "", err
	}
	return value, nil
}

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
