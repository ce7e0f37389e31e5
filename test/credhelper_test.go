package test

import (
	"net/http"
	"net/http/httptest"
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
	// A registry that answers at /v2/ alone; the rest is down.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		status := http.StatusServiceUnavailable
		if req.URL.Path == "/v2/" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+req.Host+`/v2/token",service="container_registry",scope="*"`)
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/credhelper",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "home", ".config"))
			env.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
			env.Setenv("REGISTRY", server.Listener.Addr().String())
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
