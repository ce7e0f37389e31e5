package dockerconfig

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/programs"
)

// A credential helper that never answers is given up by itself, and named.
func TestDeafHelperIsGivenUp(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the helper is a shell script")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	programs.Write(t, filepath.Join(dir, "docker-credential-deaf"), "#!/bin/sh\nexec sleep 600\n")
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"deaf"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	helperLimit = 50 * time.Millisecond
	defer func() { helperLimit = 2 * time.Minute }()
	config, err := Load(dir, func(string) string { return "" }, nil)
	if err != nil {
		t.Fatal(err)
	}
	var waited []string
	config.Waiting = func(what string) func() {
		waited = append(waited, what)
		return func() {}
	}
	_, err = config.Credential(t.Context(), Place{Host: "git.example.com"}, io.Discard)
	failed, ok := errors.AsType[*HelperError](err)
	if !ok || failed.Program != "docker-credential-deaf" || failed.Err.Error() != "no answer within 50ms" || failed.Hint() == "" {
		t.Errorf("got %v", err)
	}
	if len(waited) != 1 || waited[0] != "docker-credential-deaf" {
		t.Errorf("waited for %q", waited)
	}
}
