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

	"github.com/zalando/go-keyring"

	"github.com/docker-gitea/docker-gitea/registry"
)

// testStore is what every store has to do.
func testStore(t *testing.T, s store) {
	t.Helper()
	if err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := []key{
		{"git.example.com", "alice", slotLogin},
		{"git.example.com", "alice", slotAccess},
		{"git.example.com:3000", "alice", slotLogin},
		{"[::1]:3000", "alice", slotLogin},
	}
	for _, k := range keys {
		if _, err := s.read(t.Context(), k); !errors.Is(err, errNoSecret) {
			t.Errorf("read %v before it is written: got %v, want errNoSecret", k, err)
		}
		if err := s.remove(t.Context(), k); err != nil {
			t.Errorf("remove %v before it is written: %v", k, err)
		}
		for _, secret := range []string{"old", k.host + string(k.slot)} {
			if err := s.write(t.Context(), k, registry.NewSecret(secret)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, k := range keys {
		if got, err := s.read(t.Context(), k); err != nil || got.Reveal() != k.host+string(k.slot) {
			t.Errorf("read %v: got %q, %v", k, got.Reveal(), err)
		}
	}
	for _, k := range keys {
		if err := s.remove(t.Context(), k); err != nil {
			t.Error(err)
		}
		if _, err := s.read(t.Context(), k); !errors.Is(err, errNoSecret) {
			t.Errorf("read %v after it is removed: got %v", k, err)
		}
	}
}

func TestFileStore(t *testing.T) { testStore(t, fileStore{t.TempDir()}) }

// The other helper is this program itself, under another name and with files
// of its own.
func TestHelperStore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	dir := t.TempDir()
	script := "#!/bin/sh\n" + asProgram + "=1 " + envStorage + "=file " + envDir + "=" + dir + `/other exec "` + os.Args[0] + `" "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-other"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	s := helperStore{name: "other", patience: human, stderr: os.Stderr}
	if err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := key{"git.example.com", "alice", slotLogin}
	if _, err := s.read(t.Context(), k); !errors.Is(err, errNoSecret) {
		t.Errorf("got %v, want errNoSecret", err)
	}
	if err := s.remove(t.Context(), k); err != nil {
		t.Error(err)
	}
	if err := s.write(t.Context(), k, registry.NewSecret("s")); err != nil {
		t.Fatal(err)
	}
	if got, err := s.read(t.Context(), k); err != nil || got.Reveal() != "s" {
		t.Errorf("got %q, %v", got.Reveal(), err)
	}
	if err := s.remove(t.Context(), k); err != nil {
		t.Error(err)
	}
	missing := helperStore{name: "missing", patience: human}
	for name, err := range map[string]error{
		"check": missing.check(t.Context()), "remove": missing.remove(t.Context(), k), "write": missing.write(t.Context(), k, registry.NewSecret("s")),
	} {
		if err == nil {
			t.Errorf("%s of a missing helper succeeds", name)
		}
	}
}

// The keys of the keyring, without a keyring: test/ has a real one.
func TestKeyringStore(t *testing.T) {
	keyring.MockInit()
	if runtime.GOOS == "linux" {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
		s := keyringStore{machine}
		if err := s.write(t.Context(), key{"h", "u", slotLogin}, registry.NewSecret("s")); !errors.Is(err, errNoKeyring) {
			t.Errorf("got %v, want errNoKeyring", err)
		}
		return
	}
	testStore(t, keyringStore{machine})
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
	if err := os.WriteFile(filepath.Join(dir, "pass"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("PASSWORD_STORE_DIR", dir)
	testStore(t, passStore{human})
}

func TestFileNameKeepsHostsApart(t *testing.T) {
	if fileName("git.example.com:3000") == fileName("git.example.com_3000") {
		t.Error("two hosts share a file")
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
	for _, patience := range []patience{human, machine} {
		synctest.Test(t, func(t *testing.T) {
			var stderr strings.Builder
			h := &helper{System: System{Stderr: &stderr}, patience: patience}
			done := h.waiting("the keyring")
			time.Sleep(10 * longWait)
			synctest.Wait()
			done()
			if got, want := stderr.String(), "waiting: the keyring has not answered for 3s\n"; (got == want) != patience.asks || !patience.asks && got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}
