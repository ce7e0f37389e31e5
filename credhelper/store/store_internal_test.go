package store

import (
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// testStore is what every store has to do.
func testStore(t *testing.T, s Store) {
	t.Helper()
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := []Key{
		{"git.example.com", "alice", SlotLogin},
		{"git.example.com", "alice", SlotAccess},
		{"git.example.com:3000", "alice", SlotLogin},
		{"[::1]:3000", "alice", SlotLogin},
	}
	for _, k := range keys {
		if _, err := s.Read(t.Context(), k); !errors.Is(err, ErrNoSecret) {
			t.Errorf("read %v before it is written: got %v, want ErrNoSecret", k, err)
		}
		if err := s.Remove(t.Context(), k); err != nil {
			t.Errorf("remove %v before it is written: %v", k, err)
		}
		for _, secret := range []string{"old", k.Host + string(k.Slot)} {
			if err := s.Write(t.Context(), k, registry.NewSecret(secret)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, k := range keys {
		if got, err := s.Read(t.Context(), k); err != nil || got.Reveal() != k.Host+string(k.Slot) {
			t.Errorf("read %v: got %q, %v", k, got.Reveal(), err)
		}
	}
	for _, k := range keys {
		if err := s.Remove(t.Context(), k); err != nil {
			t.Error(err)
		}
		if _, err := s.Read(t.Context(), k); !errors.Is(err, ErrNoSecret) {
			t.Errorf("read %v after it is removed: got %v", k, err)
		}
	}
}

func TestFileStore(t *testing.T) { testStore(t, fileStore{dir: t.TempDir()}) }

// The keys of the keyring, without a keyring: test/ has a real one.
func TestKeyringStore(t *testing.T) {
	keyring.MockInit()
	if runtime.GOOS == "linux" {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
		s := keyringStore{Machine}
		if err := s.Write(t.Context(), Key{"h", "u", SlotLogin}, registry.NewSecret("s")); !errors.Is(err, ErrNoKeyring) {
			t.Errorf("got %v, want ErrNoKeyring", err)
		}
		return
	}
	testStore(t, keyringStore{Machine})
}

// pass, played by a script that keeps what it is given; test/ has a real one.
func TestPassStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pass is a shell script")
	}
	dir := t.TempDir()
	script := `#!/bin/sh
cd "` + dir + `" || exit 1
case $1 in
ls) ;;
insert) mkdir -p "$(dirname "$4")" && cat > "$4.gpg" ;;
show) cat "$2.gpg" ;;
rm) rm -r "$3" ;;
esac
`
	programs.Write(t, filepath.Join(dir, "pass"), script)
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("PASSWORD_STORE_DIR", dir)
	testStore(t, passStore{Human})
}

func TestFileNameKeepsHostsApart(t *testing.T) {
	if FileName("git.example.com:3000") == FileName("git.example.com_3000") {
		t.Error("two hosts share a file")
	}
}

// A bus that takes the connection and says nothing: keyrings hang on machines
// without a desktop.
func TestSilentKeyringIsNotWaitedFor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the Secret Service is Linux's")
	}
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+socket)
	s := keyringStore{Patience{Limit: 50 * time.Millisecond}}
	if _, err := s.Read(t.Context(), Key{Host: "h", Username: "u", Slot: SlotLogin}); err == nil {
		t.Error("got no error")
	}
}

func TestHangingCallIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	_, err := within(t.Context(), time.Millisecond, func() (int, error) {
		<-release
		return 0, nil
	})
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %v", err)
	}
}
