package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/internal/helperprogram"
	"github.com/docker-gitea/docker-gitea/registry"
)

// helperStore keeps secrets through another credential helper, such as
// docker-credential-desktop.
type helperStore struct {
	name string
	Patience
	stderr io.Writer
}

func (s helperStore) program() string { return "docker-credential-" + s.name }

func (s helperStore) Check(ctx context.Context) error {
	return s.ask(ctx, "unused", func(run client.ProgramFunc) error {
		_, err := client.List(run)
		return err
	})
}

func (s helperStore) Read(ctx context.Context, k Key) (secret registry.Secret, err error) {
	err = s.ask(ctx, k.address(), func(run client.ProgramFunc) error {
		stored, err := client.Get(run, k.address())
		if err == nil {
			secret = registry.NewSecret(stored.Secret)
		}
		return err
	})
	return secret, err
}

func (s helperStore) Write(ctx context.Context, k Key, secret registry.Secret) error {
	return s.ask(ctx, "", func(run client.ProgramFunc) error {
		return client.Store(run, &credentials.Credentials{
			ServerURL: k.address(),
			Username:  program,
			Secret:    secret.Reveal(),
		})
	})
}

func (s helperStore) Remove(ctx context.Context, k Key) error {
	if _, err := s.Read(ctx, k); errors.Is(err, ErrNoSecret) {
		return nil
	}
	return s.ask(ctx, k.address(), func(run client.ProgramFunc) error { return client.Erase(run, k.address()) })
}

// ask runs the helper for one call of the library. What it prints before it
// fails may be the secret, and the library puts that into its error; ours says
// how it ended, and how the user sees what it says: by giving it that input,
// unless it is a secret.
func (s helperStore) ask(ctx context.Context, input string, call func(client.ProgramFunc) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Limit, ErrTimeout)
	defer cancel()
	run := new(helperprogram.Call)
	err := call(func(args ...string) client.Program {
		run = helperprogram.New(ctx, s.program(), s.stderr, args...) // whose name CheckName has checked
		return run
	})
	switch {
	case err == nil:
		return nil
	case credentials.IsErrCredentialsNotFound(err):
		return ErrNoSecret
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", s.program(), context.Cause(ctx))
	case errors.Is(run.Err, exec.ErrNotFound), errors.Is(run.Err, context.Canceled):
		return fmt.Errorf("%s: %w", s.program(), run.Err)
	case run.Err == nil:
		run.Err = errors.New("its answer is malformed")
	}
	verb := run.Args[len(run.Args)-1]
	if verb == credentials.ActionStore {
		input, verb = "unused", credentials.ActionList
	}
	return advice.Give(fmt.Errorf("%s: %w", s.program(), run.Err), fmt.Sprintf("to see what it says: echo %s | %s %s", input, s.program(), verb))
}
