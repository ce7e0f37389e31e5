package credhelper

import (
	"context"
	"fmt"
	"time"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/registry"
)

// key names a secret of a login.
func (e entry) key(host string, s store.Slot) store.Key {
	return store.Key{Host: host, Username: e.Username, Slot: s}
}

// openStore returns the store of that name. It does not touch it.
func (h *helper) openStore(name string) (store.Store, error) {
	s, what, err := store.Open(name, store.Place{Dir: h.dir, Missing: errNoDirectory, Patience: h.patience, Stderr: gate.Behind(h.Stderr)})
	if err != nil {
		return nil, err
	}
	return watchedStore{s, h, what}, nil
}

// watchedStore hides the secrets that a store takes and gives, and says what is
// waited for when that takes long: it may be asking the user for a password.
type watchedStore struct {
	store.Store
	*helper
	what string
}

func (s watchedStore) Check(ctx context.Context) error {
	defer s.waiting(s.what)()
	return s.Store.Check(ctx)
}

func (s watchedStore) Read(ctx context.Context, k store.Key) (registry.Secret, error) {
	defer s.waiting(s.what)()
	secret, err := s.Store.Read(ctx, k)
	s.hide(secret)
	return secret, err
}

func (s watchedStore) Write(ctx context.Context, k store.Key, secret registry.Secret) error {
	defer s.waiting(s.what)()
	s.hide(secret)
	return s.Store.Write(ctx, k, secret)
}

func (s watchedStore) Remove(ctx context.Context, k store.Key) error {
	defer s.waiting(s.what)()
	return s.Store.Remove(ctx, k)
}

// chooseStore returns the name of the store for a new login, having made sure
// that it works. "auto" is the system's keyring: without one it fails
// rather than write a secret in the clear.
func (h *helper) chooseStore(ctx context.Context, name string) (string, error) {
	automatic := name == "" || name == store.Auto
	if automatic {
		name = store.Keyring
	}
	s, err := h.openStore(name)
	if err != nil {
		return "", err
	}
	if err := s.Check(ctx); err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		if automatic && adviceOn(err).Hint == "" {
			err = advice.Give(err, noStoreHint)
		}
		return "", err
	}
	return name, nil
}

const noStoreHint = "choose where logins are stored, with --storage or " + envStorage + `:
  pass           encrypted by GnuPG, needs pass(1) set up
  helper:NAME    another docker-credential-NAME
  file           in plain text, readable by you alone`

// longWait is after how long it is said what is waited for.
var longWait = 3 * time.Second

// waiting says, after a while, what has not answered, until done is called. Docker,
// which asks for a credential, is not told.
func (h *helper) waiting(what string) (done func()) {
	if !h.patience.Asks {
		return func() {}
	}
	said := make(chan struct{})
	timer := time.AfterFunc(longWait, func() {
		defer close(said)
		fmt.Fprintf(h.Stderr, "waiting: %s has not answered for %v\n", registry.Printable(what), longWait)
	})
	return func() {
		if !timer.Stop() {
			<-said // two do not write at once
		}
	}
}
