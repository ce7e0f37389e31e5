// Package credhelper is the program docker-credential-gitea: Docker's credential
// helper for the container registries of Gitea and Forgejo.
//
// # Where to begin
//
// [Main] is the whole program: it takes a [System] with the arguments, the environment and
// the streams, and returns the exit code. The program's own main does nothing else. It
// answers the four verbs that Docker, crane, skopeo and oras ask (store, get, erase and
// list), and has commands for people: login, logout, status, configure-docker,
// unconfigure-docker, doctor and register-app. It knows no images and does not push.
//
// # Errors and concurrency
//
// Main prints every error itself, with a hint, and returns another exit code than 0. It
// may run several times side by side, in one process or in many: locks on files keep two
// from refreshing one login.
//
// # Other packages
//
// Manuals are made from [Command]; [Variables] and [Files] list what the program reads
// from the environment and keeps on disk, for tests. A program that only wants the credentials which Docker would
// use runs docker-credential-gitea, by Docker's protocol.
//
// # How the files fit together
//
//   - protocol.go answers the verbs; everything that Docker sees is there.
//   - index.go holds what is known of each host, without secrets; stores.go
//     chooses where the secrets are kept: package store keeps them.
//   - session.go hands out OAuth access tokens and refreshes them, one
//     process at a time.
//   - login.go leads through the login flows; loginoauth.go, oauth.go and
//     package loopback are OAuth's part of it, gitea.go the server's, prompt.go
//     the terminal's; transport.go has the trust that each host is given;
//     logins.go keeps and removes what a login gave.
//   - configure.go and dockerconfig.go change Docker's config.json; doctor.go
//     and status.go tell what is set up.
//   - settings.go and environment.go are the user's configuration, files.go
//     how files are written; inputs.go is the map of all that can be said, and
//     of where it may go.
package credhelper

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/docker-credential-helpers/credentials"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/gate"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

const (
	program = "docker-credential-gitea"
	// helperName is what Docker's configuration calls the program.
	helperName = "gitea"
)

// System is what the process around the helper provides.
type System struct {
	// Args are the arguments without the program's name.
	Args []string
	// LookupEnv returns a variable of the environment, and whether it is set.
	LookupEnv func(key string) (value string, set bool)
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
	// Browser finds the user's browser: it returns what shows an address there,
	// or nil where nobody would see it.
	Browser func() (show func(address string) error)
	// Version and Revision are shown by "version".
	Version, Revision string
}

// Getenv returns a variable of the environment, or nothing, without what the file
// or the secret that it was set from leaves around the value.
func (s System) Getenv(key string) string {
	value, _ := s.LookupEnv(key)
	return registry.Trimmed(value)
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	// exitInterrupted is what shells make of Ctrl-C.
	exitInterrupted = 130
)

// helper is one run of the program. Its streams and its log are behind a gate.
type helper struct {
	System
	// answers is where "get" gives docker the secret, past the gate.
	answers io.Writer
	// hidden is what is never shown. Nil hides nothing.
	hidden *gate.Hidden
	// dir holds our own files. It is empty on a machine without a home
	// directory, where only the environment gives credentials.
	dir string
	// unusable says why nothing can be done with dir, or with what was given.
	unusable error
	log      *slog.Logger
	now      func() time.Time
	// patience is what stores are granted.
	patience store.Patience
}

// Main runs the program and returns its exit code: 0 when it did what it was
// asked, 1 when it could not, 2 when the arguments make no sense, 130 after Ctrl-C. Cancelling
// ctx ends it, except in the middle of a refresh, which is always saved.
func Main(ctx context.Context, sys System) int {
	credentials.Name = program
	credentials.Package = "github.com/docker-gitea/docker-gitea"
	credentials.Version = sys.Version
	credentials.Revision = sys.Revision

	h := guarded(sys)
	// Before anything is made of what was given.
	h.unusable = checkMisplaced(h.Args, h.Getenv)
	misplaced := h.unusable != nil
	if !misplaced {
		defer h.openLog()()
		h.dir, h.unusable = directory(h.Getenv)
	}
	switch {
	case len(sys.Args) == 1 && isVerb(sys.Args[0]):
		h.patience = store.Machine
		return h.serve(ctx, sys.Args[0])
	case misplaced:
		return h.report(ctx, h.unusable)
	}
	h.patience = store.Human
	return h.execute(ctx)
}

// guarded is the program behind its gate.
func guarded(sys System) *helper {
	h := &helper{System: sys, answers: sys.Stdout, hidden: new(gate.Hidden), now: time.Now, log: slog.New(slog.DiscardHandler)}
	h.Stdout, h.Stderr = gate.New(sys.Stdout, h.hidden), gate.New(sys.Stderr, h.hidden)
	h.LookupEnv = h.hidden.Lookup(sys.LookupEnv)
	h.hidden.AddShaped(sys.Args...)
	for _, variable := range proxies {
		h.Getenv(variable) // what is read is hidden if it has to be
	}
	for _, variable := range tokens {
		h.hide(registry.NewSecret(h.Getenv(variable)))
	}
	return h
}

// hide keeps secrets from being shown that are what they are for sure: a server
// may send them back in its error. One that is short may be a word of its own.
func (h *helper) hide(secrets ...registry.Secret) {
	for _, secret := range secrets {
		if text := secret.Reveal(); len(text) >= longEnough {
			h.hidden.Add(text)
		}
	}
}

// longEnough is a secret that no other text is likely to hold.
const longEnough = 8

// openLog logs to the file that DOCKER_CREDENTIAL_GITEA_LOG names, and returns
// what closes it. A log that cannot be written is no reason to fail.
func (h *helper) openLog() (closeLog func()) {
	path := h.Getenv(envLog)
	if path == "" {
		return func() {}
	}
	if !filepath.IsAbs(path) {
		fmt.Fprintf(h.Stderr, "%s: nothing is logged: %s is relative: give the whole path\n", program, envLog)
		return func() {}
	}
	file, err := ownfile.Open(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintf(h.Stderr, "%s: nothing is logged: %v\n", program, err)
		return func() {}
	}
	h.log = debugLog(gate.New(file, h.hidden)).With(slog.Int("pid", os.Getpid()))
	return func() { _ = file.Close() }
}

func debugLog(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
