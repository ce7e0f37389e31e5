package credhelper

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/registry"
)

// store keeps secrets. Every call is bounded in time, since keyrings are known
// to hang on machines without a desktop.
type store interface {
	// check reports why the store cannot be used, if it cannot.
	check(ctx context.Context) error
	// read returns errNoSecret when there is none.
	read(ctx context.Context, k key) (registry.Secret, error)
	write(ctx context.Context, k key, secret registry.Secret) error
	// remove succeeds when there is nothing to remove.
	remove(ctx context.Context, k key) error
}

// key names one secret.
type key struct {
	host, username string
	slot           slot
}

// slot tells apart the secrets of one login. They are stored one by one,
// because the Windows Credential Manager takes no more than 2560 bytes.
type slot string

const (
	// slotLogin is the token or password, or the OAuth refresh token.
	slotLogin slot = "login"
	// slotAccess is the OAuth access token.
	slotAccess slot = "access"
)

func (e entry) key(host string, s slot) key { return key{host, e.Username, s} }

// The names of the stores.
const (
	storeAuto    = "auto"
	storeKeyring = "keyring"
	storePass    = "pass"
	storeFile    = "file"
	// storeHelper is followed by the name of a docker-credential-NAME.
	storeHelper = "helper:"

	storageNames = "auto, keyring, pass, file or helper:NAME"
)

var (
	errNoSecret  = errors.New("no such secret in the store")
	errNoKeyring = errors.New("no Secret Service answers on the session bus")
	errLocked    = errors.New("the keyring is locked")
	// errNoCollection: there is a keyring, and nothing in it to put secrets into.
	errNoCollection = errors.New("the keyring has no collection yet")
	errTimeout      = errors.New("no answer in time")
)

// helperPattern keeps paths and options out of the name of a program.
var helperPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// checkStorage reports what is wrong with the name of a store.
func checkStorage(name string) error {
	switch name {
	case "", storeAuto, storeKeyring, storePass, storeFile:
		return nil
	}
	other, ok := strings.CutPrefix(name, storeHelper)
	switch {
	case !ok:
		return fmt.Errorf("unknown storage %q: want %s", name, storageNames)
	case strings.EqualFold(strings.TrimSuffix(strings.ToLower(other), ".exe"), helperName):
		return fmt.Errorf("storage %q would call itself", name)
	case !helperPattern.MatchString(other):
		return fmt.Errorf("storage %q: %q is no name of a credential helper", name, other)
	}
	return nil
}

// patience says how long a store may take, and whether it may ask the user
// to unlock it.
type patience struct {
	limit time.Duration
	asks  bool
}

var (
	// machine is for the protocol: Docker waits, and nobody may be there.
	machine = patience{limit: 5 * time.Second}
	// human is for commands: there is time to answer a dialogue.
	human = patience{limit: time.Minute, asks: true}
)

// openStore returns the store of that name. It does not touch it.
func (h *helper) openStore(name string) (store, error) {
	if err := checkStorage(name); err != nil {
		return nil, err
	}
	var (
		s    store
		what = name
	)
	switch name {
	case storeKeyring:
		s, what = keyringStore{h.patience}, "the keyring, which may ask for its password on the desktop,"
	case storePass:
		s = passStore{h.patience}
	case storeFile:
		s = fileStore{h.dir}
	default:
		other := helperStore{name: strings.TrimPrefix(name, storeHelper), patience: h.patience, stderr: gate.Behind(h.Stderr)}
		s, what = other, other.program()
	}
	return watchedStore{s, h, what}, nil
}

// watchedStore hides the secrets that a store takes and gives, and says what is
// waited for when that takes long: it may be asking the user for a password.
type watchedStore struct {
	store
	*helper
	what string
}

func (s watchedStore) check(ctx context.Context) error {
	defer s.waiting(s.what)()
	return s.store.check(ctx)
}

func (s watchedStore) read(ctx context.Context, k key) (registry.Secret, error) {
	defer s.waiting(s.what)()
	secret, err := s.store.read(ctx, k)
	s.hide(secret)
	return secret, err
}

func (s watchedStore) write(ctx context.Context, k key, secret registry.Secret) error {
	defer s.waiting(s.what)()
	s.hide(secret)
	return s.store.write(ctx, k, secret)
}

func (s watchedStore) remove(ctx context.Context, k key) error {
	defer s.waiting(s.what)()
	return s.store.remove(ctx, k)
}

// chooseStore returns the name of the store for a new login, having made sure
// that it works. "auto" is the system's keyring: without one it fails
// rather than write a secret in the clear.
func (h *helper) chooseStore(ctx context.Context, name string) (string, error) {
	automatic := name == "" || name == storeAuto
	if automatic {
		name = storeKeyring
	}
	s, err := h.openStore(name)
	if err != nil {
		return "", err
	}
	if err := s.check(ctx); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		if automatic && adviceOn(err).Hint == "" {
			err = advise(err, noStoreHint)
		}
		return "", err
	}
	return name, nil
}

const noStoreHint = "choose where logins are stored, with --storage or " + envStorage + `:
  pass           encrypted by GnuPG, needs pass(1) set up
  helper:NAME    another docker-credential-NAME
  file           in plain text, readable by you alone`

// within bounds a call that takes no context. A call that never returns is
// left behind: the process is about to end.
func within[T any](ctx context.Context, limit time.Duration, call func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w (%v)", errTimeout, limit))
	defer cancel()
	return abandonable(ctx, call)
}

// abandonable returns when call does or when ctx ends, whichever comes first.
func abandonable[T any](ctx context.Context, call func() (T, error)) (T, error) {
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
