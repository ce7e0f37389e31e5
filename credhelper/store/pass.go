package store

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/docker/docker-credential-helpers/pass"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/registry"
)

// passStore keeps secrets in pass, encrypted by GnuPG. GnuPG's agent may ask
// for a passphrase in its own dialogue.
type passStore struct{ Patience }

// address is the key under which another program stores a secret of ours. It
// cannot collide with a registry's: no registry has this name. The user name
// beside it is always our own, so that a new user's secret replaces the old.
func (k Key) address() string {
	return "https://" + program + "/" + k.Host + "/" + string(k.Slot)
}

func (s passStore) Check(ctx context.Context) error {
	_, err := within(ctx, s.Limit, func() (struct{}, error) {
		if _, err := exec.LookPath("pass"); err != nil {
			return struct{}{}, err
		}
		if !(pass.Pass{}).CheckInitialized() {
			return struct{}{}, advice.Give(errors.New("pass is not initialized"), "run: pass init YOUR-GPG-KEY")
		}
		return struct{}{}, nil
	})
	return err
}

func (s passStore) Read(ctx context.Context, k Key) (registry.Secret, error) {
	secret, err := within(ctx, s.Limit, func() (string, error) {
		_, secret, err := pass.Pass{}.Get(k.address())
		return secret, err
	})
	if credentials.IsErrCredentialsNotFound(err) {
		return registry.Secret{}, ErrNoSecret
	}
	if err != nil {
		return registry.Secret{}, advice.Give(fmt.Errorf("pass: %w", err), "see whether GnuPG can open it: gpg --list-secret-keys")
	}
	return registry.NewSecret(secret), nil
}

func (s passStore) Write(ctx context.Context, k Key, secret registry.Secret) error {
	_, err := within(ctx, s.Limit, func() (struct{}, error) {
		return struct{}{}, pass.Pass{}.Add(&credentials.Credentials{
			ServerURL: k.address(),
			Username:  program,
			Secret:    secret.Reveal(),
		})
	})
	if err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	return nil
}

func (s passStore) Remove(ctx context.Context, k Key) error {
	_, err := within(ctx, s.Limit, func() (struct{}, error) {
		stored, err := pass.Pass{}.List()
		if _, exists := stored[k.address()]; err != nil || !exists {
			return struct{}{}, err
		}
		return struct{}{}, pass.Pass{}.Delete(k.address())
	})
	if err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	return nil
}
