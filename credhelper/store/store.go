// Package store keeps the secrets of logins where the user wants them: in the
// system's keyring, in pass, with another credential helper, or in files. Which login
// has which secrets is the caller's business.
//
// It takes the name of a login and gives its secrets. It touches the keyring, other
// programs or files, and no registry. Begin with store.go.
//
//   - store.go: what every store does, and their names
//   - keyring.go, with probe*.go; pass.go, helper.go, file.go: one store each
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// program is the program whose secrets they are, and own what Docker calls it.
const (
	own     = "gitea"
	program = "docker-credential-" + own
)

// Store keeps secrets. Every call is bounded in time, since keyrings are known
// to hang on machines without a desktop.
type Store interface {
	// Check reports why the store cannot be used, if it cannot.
	Check(ctx context.Context) error
	// Read returns ErrNoSecret when there is none.
	Read(ctx context.Context, k Key) (registry.Secret, error)
	Write(ctx context.Context, k Key, secret registry.Secret) error
	// Remove succeeds when there is nothing to remove.
	Remove(ctx context.Context, k Key) error
}

// Key names one secret.
type Key struct {
	Host, Username string
	Slot           Slot
}

// Slot tells apart the secrets of one login. They are stored one by one,
// because the Windows Credential Manager takes no more than 2560 bytes.
type Slot string

const (
	// SlotLogin is the token or password, or the OAuth refresh token.
	SlotLogin Slot = "login"
	// SlotAccess is the OAuth access token.
	SlotAccess Slot = "access"
)

// The names of the stores.
const (
	Auto    = "auto"
	Keyring = "keyring"
	Pass    = "pass"
	File    = "file"
	// Helper is followed by the name of a docker-credential-NAME.
	Helper = "helper:"

	Names = "auto, keyring, pass, file or helper:NAME"
)

// Why a store gives no secret. With ErrNoCollection there is a keyring, and nothing in
// it to put secrets into.
var (
	ErrNoSecret     = errors.New("no such secret in the store")
	ErrNoKeyring    = errors.New("no Secret Service answers on the session bus")
	ErrLocked       = errors.New("the keyring is locked")
	ErrNoCollection = errors.New("the keyring has no collection yet")
	ErrTimeout      = errors.New("no answer in time")
)

// helperPattern keeps paths and options out of the name of a program.
var helperPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// CheckName reports what is wrong with the name of a store.
func CheckName(name string) error {
	switch name {
	case "", Auto, Keyring, Pass, File:
		return nil
	}
	other, ok := strings.CutPrefix(name, Helper)
	switch {
	case !ok:
		return fmt.Errorf("unknown storage %q: want %s", name, Names)
	case strings.EqualFold(strings.TrimSuffix(strings.ToLower(other), ".exe"), own):
		return fmt.Errorf("storage %q would call itself", name)
	case !helperPattern.MatchString(other):
		return fmt.Errorf("storage %q: %q is no name of a credential helper", name, other)
	}
	return nil
}

// Patience says how long a store may take, and whether it may ask the user
// to unlock it.
type Patience struct {
	Limit time.Duration
	Asks  bool
}

var (
	// Machine is for the protocol: Docker waits, and nobody may be there.
	Machine = Patience{Limit: 5 * time.Second}
	// Human is for commands: there is time to answer a dialogue.
	Human = Patience{Limit: time.Minute, Asks: true}
)

// Place is where stores are opened.
type Place struct {
	// Dir is that of the files. Where it is empty, Missing says why.
	Dir     string
	Missing error
	// Patience is what the store is granted.
	Patience Patience
	// Stderr gets what another helper says there.
	Stderr io.Writer
}

// Open returns the store of that name, and what a person is told to wait for. It
// does not touch it.
func Open(name string, p Place) (s Store, what string, err error) {
	if err := CheckName(name); err != nil {
		return nil, "", err
	}
	switch name {
	case Keyring:
		return keyringStore{p.Patience}, "the keyring, which may ask for its password on the desktop,", nil
	case Pass:
		return passStore{p.Patience}, name, nil
	case File:
		return fileStore{p.Dir, p.Missing}, name, nil
	}
	other := helperStore{name: strings.TrimPrefix(name, Helper), Patience: p.Patience, stderr: p.Stderr}
	return other, other.program(), nil
}

// within bounds a call that takes no context. A call that never returns is
// left behind: the process is about to end.
func within[T any](ctx context.Context, limit time.Duration, call func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w (%v)", ErrTimeout, limit))
	defer cancel()
	return Abandonable(ctx, call)
}

// Abandonable returns when call does or when ctx ends, whichever comes first.
func Abandonable[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := call()
		done <- outcome{value, err}
	}()
	select {
	case result := <-done:
		return result.value, result.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// FileName turns a host, or one of Docker Hub's addresses, into a name that
// every file system takes. Different ones have different names: none holds a
// "+" or a "~".
func FileName(host string) string { return strings.NewReplacer(":", "+", "/", "~").Replace(host) }
