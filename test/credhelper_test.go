package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// credhelperDir returns a directory that holds docker-credential-gitea alone,
// built as it is released.
func credhelperDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	cmd := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir, "../cmd/docker-credential-gitea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v: %s", err, out)
	}
	return dir
}

func TestCredentialHelperScripts(t *testing.T) {
	dir := credhelperDir(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/credhelper",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "home", ".config"))
			env.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
			return os.MkdirAll(filepath.Join(env.WorkDir, "home"), 0o700)
		},
	})
}

// TestCredentialHelperSize keeps the helper small enough to start at once.
func TestCredentialHelperSize(t *testing.T) {
	const limit = 10_000_000
	files, err := os.ReadDir(credhelperDir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Size() > limit {
			t.Errorf("%s has %d bytes, want at most %d (%v)", file.Name(), info.Size(), limit, err)
		}
	}
}

// BenchmarkGet compares a get from the file store with the start of a program
// that does nothing, and with docker-credential-pass where there is one.
func BenchmarkGet(b *testing.B) {
	dir, home := credhelperDir(b), b.TempDir()
	helper := filepath.Join(dir, "docker-credential-gitea")
	run := func(b *testing.B, path, stdin string, args ...string) {
		b.Helper()
		cmd := exec.CommandContext(b.Context(), path, args...)
		cmd.Env = []string{"HOME=" + home, "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
		stdinFile := filepath.Join(home, "stdin")
		if err := os.WriteFile(stdinFile, []byte(stdin), 0o600); err != nil {
			b.Fatal(err)
		}
		file, err := os.Open(stdinFile)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		cmd.Stdin = file
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	run(b, helper, `{"ServerURL":"git.example.com","Username":"alice","Secret":"s"}`, "store")
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			run(b, helper, "git.example.com", "get")
		}
	})
	b.Run("true", func(b *testing.B) {
		for b.Loop() {
			run(b, "/bin/true", "")
		}
	})
}
