package credhelper

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// opened is the store of that name, for a person.
func opened(t *testing.T, name string) store.Store {
	t.Helper()
	s, _, err := store.Open(name, store.Place{Patience: store.Human, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The other helper is this program itself, under another name and with files
// of its own.
func TestHelperStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	dir := t.TempDir()
	script := "#!/bin/sh\n" + asProgram + "=1 " + envStorage + "=file " + envDir + "=" + dir + `/other exec "` + os.Args[0] + `" "$@"` + "\n"
	programs.Write(t, filepath.Join(dir, "docker-credential-other"), script)
	t.Setenv("PATH", dir)
	s := opened(t, "helper:other")
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := store.Key{Host: "git.example.com", Username: "alice", Slot: store.SlotLogin}
	if _, err := s.Read(t.Context(), k); !errors.Is(err, store.ErrNoSecret) {
		t.Errorf("got %v, want store.ErrNoSecret", err)
	}
	if err := s.Remove(t.Context(), k); err != nil {
		t.Error(err)
	}
	if err := s.Write(t.Context(), k, registry.NewSecret("s")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(t.Context(), k); err != nil || got.Reveal() != "s" {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
	if err := s.Remove(t.Context(), k); err != nil {
		t.Error(err)
	}
	missing := opened(t, "helper:missing")
	for name, err := range map[string]error{
		"check": missing.Check(t.Context()), "remove": missing.Remove(t.Context(), k), "write": missing.Write(t.Context(), k, registry.NewSecret("s")),
	} {
		if err == nil {
			t.Errorf("%s of a missing helper succeeds", name)
		}
	}
}

// A lock that another process holds is named when it is given up.
func TestLockOfAnotherIsNamed(t *testing.T) {
	h := &helper{dir: t.TempDir()}
	unlock, err := h.lock(t.Context(), "git.example.com", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := h.lock(t.Context(), "git.example.com", 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "another docker-credential-gitea holds ") {
		t.Errorf("got %v", err)
	}
}

// What takes long is named to a person once, and to docker never.
func TestWaitingIsNamed(t *testing.T) {
	for _, patience := range []store.Patience{store.Human, store.Machine} {
		synctest.Test(t, func(t *testing.T) {
			var stderr strings.Builder
			h := &helper{System: System{Stderr: &stderr}, patience: patience}
			done := h.waiting("the keyring")
			time.Sleep(10 * longWait)
			synctest.Wait()
			done()
			if got, want := stderr.String(), "waiting: the keyring has not answered for 3s\n"; (got == want) != patience.Asks || !patience.Asks && got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}
