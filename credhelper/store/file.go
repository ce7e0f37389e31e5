package store

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
type fileStore struct {
	dir     string
	missing error // why there is none
}

// FilePath is the file of a secret in a directory.
func FilePath(dir string, k Key) string {
	return filepath.Join(dir, "secrets", FileName(k.Host)+"."+string(k.Slot))
}

func (s fileStore) Check(context.Context) error {
	if s.dir == "" {
		return s.missing
	}
	return ownfile.MkdirAll(filepath.Join(s.dir, "secrets"), ownfile.PrivateDir)
}

func (s fileStore) Read(_ context.Context, k Key) (registry.Secret, error) {
	data, err := ownfile.ReadPrivate(FilePath(s.dir, k))
	if errors.Is(err, fs.ErrNotExist) {
		return registry.Secret{}, ErrNoSecret
	}
	if err != nil {
		return registry.Secret{}, fmt.Errorf("file: %w", err)
	}
	return registry.NewSecret(string(data)), nil
}

func (s fileStore) Write(_ context.Context, k Key, secret registry.Secret) error {
	if s.dir == "" {
		return s.missing
	}
	if err := ownfile.WritePrivate(FilePath(s.dir, k), []byte(secret.Reveal())); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}

func (s fileStore) Remove(_ context.Context, k Key) error {
	if err := os.Remove(FilePath(s.dir, k)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("file: %w", err)
	}
	return nil
}
