// Package smalldisk gives a program a temporary directory that fills up.
package smalldisk

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/programs"
)

// onSmallDisk runs a program with a file system of 1 MiB at $TMPDIR, which is
// there for it alone, and then says what is left in it. As root it needs only
// the right to mount; anybody else, user namespaces.
const onSmallDisk = `mount -t tmpfs -o size=1m small "$TMPDIR" || exit 99
"$@"; code=$?
ls -A "$TMPDIR" >&3
exit $code`

// Wrap returns a program that runs the given one on a small disk, and what lists
// the files that were left on it. It skips the test where nothing may be mounted.
func Wrap(tb testing.TB, program string) (wrapper string, left func() string) {
	tb.Helper()
	Need(tb)
	report := filepath.Join(tb.TempDir(), "left")
	text := "#!/bin/sh\nexec unshare " + strings.Join(namespaces(), " ") + " sh -c '" + onSmallDisk + "' sh " + program + ` "$@" 3>` + report + "\n"
	wrapper = programs.Write(tb, filepath.Join(tb.TempDir(), "wrapper"), text)
	return wrapper, func() string {
		files, err := os.ReadFile(report)
		if err != nil {
			tb.Fatal(err)
		}
		return strings.TrimSpace(string(files))
	}
}

// namespaces are the options of unshare that let somebody mount.
func namespaces() []string {
	if os.Geteuid() == 0 {
		return []string{"--mount"}
	}
	return []string{"--user", "--map-root-user", "--mount"}
}

// Need skips where nothing may be mounted, which in CI is a failure.
func Need(tb testing.TB) {
	tb.Helper()
	args := append(namespaces(), "sh", "-c", onSmallDisk, "sh", "true")
	cmd := exec.CommandContext(context.WithoutCancel(tb.Context()), "unshare", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+tb.TempDir())
	cmd.ExtraFiles = []*os.File{os.Stderr}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		tb.Fatalf("a small file system cannot be mounted: %v: %s", err, out)
	default:
		tb.Skipf("a small file system cannot be mounted: %v: %s", err, out)
	}
}
