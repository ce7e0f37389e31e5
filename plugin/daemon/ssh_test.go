//go:build unix

package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
	"github.com/docker-gitea/docker-gitea/test/programs"
)

// An ssh that says nothing is given up with the command, also where what it has
// started goes on.
func TestSilentSSHIsGivenUp(t *testing.T) {
	dir := t.TempDir()
	held := filepath.Join(dir, "held")
	if err := syscall.Mkfifo(held, 0o600); err != nil {
		t.Fatal(err)
	}
	// What ssh starts lasts as long as the test wants.
	script := "#!/bin/sh\n/bin/cat " + held + "\n"
	programs.Write(t, filepath.Join(dir, "ssh"), script)
	t.Setenv("PATH", dir)
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan *os.File, 1)
	go func() {
		end, err := os.OpenFile(held, os.O_WRONLY, 0) // once it is read
		if err != nil {
			t.Error(err)
		}
		opened <- end
		cancel()
	}()
	if _, err := daemon.Connect(ctx, daemon.Endpoint{Host: "ssh://me@far.example.com"}); err == nil {
		t.Error("it answered")
	}
	if err := (<-opened).Close(); err != nil {
		t.Error(err)
	}
}
