package credhelper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/registry"
)

// helperStore keeps secrets through another credential helper, such as
// docker-credential-desktop.
type helperStore struct {
	name string
	patience
	stderr io.Writer
}

func (s helperStore) program(ctx context.Context) client.ProgramFunc {
	return func(args ...string) client.Program {
		cmd := exec.CommandContext(ctx, "docker-credential-"+s.name, args...) //nolint:gosec // G204: the name is checked by checkStorage
		cmd.Stderr = s.stderr
		// Its own children may hold the pipe open after it is killed.
		cmd.WaitDelay = time.Second
		return helperCommand{cmd}
	}
}

// helperCommand implements [client.Program].
type helperCommand struct{ *exec.Cmd }

func (c helperCommand) Input(in io.Reader) { c.Stdin = in }

func (s helperStore) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	_, err := client.List(s.program(ctx))
	return err
}

func (s helperStore) read(ctx context.Context, k key) (registry.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	stored, err := client.Get(s.program(ctx), k.address())
	if credentials.IsErrCredentialsNotFound(err) {
		return registry.Secret{}, errNoSecret
	}
	if err != nil {
		return registry.Secret{}, fmt.Errorf("docker-credential-%s: %w", s.name, err)
	}
	return registry.NewSecret(stored.Secret), nil
}

func (s helperStore) write(ctx context.Context, k key, secret registry.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	err := client.Store(s.program(ctx), &credentials.Credentials{
		ServerURL: k.address(),
		Username:  program,
		Secret:    secret.Reveal(),
	})
	if err != nil {
		return fmt.Errorf("docker-credential-%s: %w", s.name, err)
	}
	return nil
}

func (s helperStore) remove(ctx context.Context, k key) error {
	if _, err := s.read(ctx, k); errors.Is(err, errNoSecret) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	if err := client.Erase(s.program(ctx), k.address()); err != nil {
		return fmt.Errorf("docker-credential-%s: %w", s.name, err)
	}
	return nil
}
