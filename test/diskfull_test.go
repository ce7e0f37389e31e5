//go:build e2e

package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

const faultDiskFull fault = "the temporary directory is full"

// onSmallDisk runs a program with a file system of 1 MiB at $TMPDIR, which is
// there for it alone, and then says what is left in it. As root it needs only
// the right to mount; anybody else, user namespaces.
const onSmallDisk = `mount -t tmpfs -o size=1m small "$TMPDIR" || exit 99
"$@"; code=$?
ls -A "$TMPDIR" >&3
exit $code`

// fillDisk pushes what does not fit into the temporary directory.
func fillDisk(t *testing.T, l *ledger, plugin string) {
	t.Helper()
	all := errands(t, 0, nil)
	for _, e := range append(all, errand{name: "an archive on standard input", source: func(t *testing.T, n int) ([]string, []byte) {
		t.Helper()
		return []string{"-"}, dockerArchive(t, byte(n), smallLayer+n)
	}}) {
		for _, start := range keepers {
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				k := start(t)
				m := newPusherMachine(t, plugin, k, k.Host, e.engine)
				line := entry{situation: "the disk is full: " + e.name, registry: k.name}
				end, left := m.pushOnSmallDisk(t, e, k.Host+"/"+k.repository+":1")
				sessions := k.sessions(t)
				held := k.held(t, "1")
				switch {
				case end.code == 0:
					l.met(&line, faultDiskFull, survived)
				case strings.Contains(end.stderr, "hint: ") && strings.Contains(end.stderr, "the disk of the temporary directory is full") && strings.Count(end.stderr, "no space left") == 1 && end.code == 1:
					l.met(&line, faultDiskFull, named)
				default:
					t.Errorf("got %+v", end)
				}
				if left != "" || sessions > 0 {
					t.Errorf("left are files %q and %d upload sessions", left, sessions)
				}
				again := m.push(t, e, 0, k.Host+"/"+k.repository+":1", nil)
				if again.code != 0 || held != "" && held != again.digest() || k.held(t, "1") != again.digest() {
					k.damaged++
					t.Errorf("with room: %+v; the tag led to %q, then to %q", again, held, k.held(t, "1"))
				}
				l.left(&line, faultDiskFull, sessions, k.sessions(t))
				line.damaged, line.files = k.damaged, len(strings.Fields(left))
				l.add(line)
			})
		}
	}
}

// pushOnSmallDisk also returns the files that were left.
func (m pusherMachine) pushOnSmallDisk(t *testing.T, e errand, to string) (o ended, left string) {
	t.Helper()
	needSmallDisk(t)
	report := filepath.Join(t.TempDir(), "left")
	wrapper := filepath.Join(t.TempDir(), "wrapper")
	writeFile(t, wrapper, []byte("#!/bin/sh\nexec unshare "+strings.Join(namespaces(), " ")+" sh -c '"+onSmallDisk+"' sh "+m.plugin+` "$@" 3>`+report+"\n"))
	servers.Need(t, os.Chmod(wrapper, 0o700))
	m.plugin = wrapper
	o = m.push(t, e, 0, to, nil)
	files, err := os.ReadFile(report)
	servers.Need(t, err)
	return o, strings.TrimSpace(string(files))
}

// namespaces are the options of unshare that let somebody mount.
func namespaces() []string {
	if os.Geteuid() == 0 {
		return []string{"--mount"}
	}
	return []string{"--user", "--map-root-user", "--mount"}
}

// needSmallDisk skips where nothing may be mounted, which in CI is a failure.
func needSmallDisk(t *testing.T) {
	t.Helper()
	args := append(namespaces(), "sh", "-c", onSmallDisk, "sh", "true")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", args...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	cmd.ExtraFiles = []*os.File{os.Stderr}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("a small file system cannot be mounted: %v: %s", err, out)
	default:
		t.Skipf("a small file system cannot be mounted: %v: %s", err, out)
	}
}
