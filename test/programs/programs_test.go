//go:build !windows

package programs_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/programs"
)

// A program runs as soon as it is written, whatever else is started meanwhile.
func TestProgramsRunAtOnce(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	started := make(chan error, 4)
	for range cap(started) {
		go func() {
			for {
				select {
				case <-done:
					started <- nil
					return
				default:
				}
				if err := exec.CommandContext(t.Context(), "true").Run(); err != nil {
					started <- err
					return
				}
			}
		}()
	}
	path := filepath.Join(t.TempDir(), "bin", "program")
	content := "#!/bin/sh\nexit 0\n" + strings.Repeat("# large\n", 1<<17)
	for range 100 {
		if err := exec.CommandContext(t.Context(), programs.Write(t, path, content)).Run(); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	for range cap(started) {
		if err := <-started; err != nil {
			t.Error(err)
		}
	}
}
