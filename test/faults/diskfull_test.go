//go:build e2e

package faults

import (
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/smalldisk"
)

const faultDiskFull interfere.Fault = "the temporary directory is full"

// fillDisk pushes what does not fit into the temporary directory.
func fillDisk(t *testing.T, l *ledger, plugin string) {
	t.Helper()
	all := errands(t, 0, nil)
	for _, e := range append(all, errand{name: "an archive on standard input", source: func(t *testing.T, n int) ([]string, []byte) {
		t.Helper()
		return []string{"-"}, samples.DockerArchive(t, byte(n), smallLayer+n)
	}}) {
		for _, start := range targets {
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
	var files func() string
	m.plugin, files = smalldisk.Wrap(t, m.plugin)
	o = m.push(t, e, 0, to, nil)
	return o, files()
}
