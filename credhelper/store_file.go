package credhelper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

// fileStore keeps each secret in a file of its own, in the clear, readable by
// the user alone. It is used only when asked for by name.
type fileStore struct{ dir string }

func (s fileStore) path(k key) string {
	return filepath.Join(s.dir, "secrets", fileName(k.host)+"."+string(k.slot))
}

func (s fileStore) check(context.Context) error {
	if s.dir == "" {
		return errNoDirectory
	}
	return ownfile.MkdirAll(filepath.Join(s.dir, "secrets"), ownDir)
}

func (s fileStore) read(_ context.Context, k key) (registry.Secret, error) {
	data, err := readOwn(s.path(k))
	if errors.Is(err, fs.ErrNotExist) {
		return registry.Secret{}, errNoSecret
	}
	if err != nil {
		return registry.Secret{}, fmt.Errorf("file: %w", err)
	}
	return registry.NewSecret(string(data)), nil
}

func (s fileStore) write(_ context.Context, k key, secret registry.Secret) error {
	if s.dir == "" {
		return errNoDirectory
	}
	if err := writeOwn(s.path(k), []byte(secret.Reveal())); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}

func (s fileStore) remove(_ context.Context, k key) error {
	if err := os.Remove(s.path(k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}
