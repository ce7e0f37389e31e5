//go:build e2e

package faults

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// positions is how many faults each kind of source meets on its way to each
// registry.
var positions = flag.Int("positions", 12, "how many places of a push the fault suite interferes with, for each kind of source and each registry")

// TestFaults has pushes meet every fault at positions spread over all that
// they exchange, kills and interrupts them, kills the server, fills the disk,
// and has many at once. Whatever happens, a push ends well or with an error
// that has a cause and a hint; its tag then leads to nothing or to exactly the
// image; and the same push without the fault ends well. No goroutine and no
// temporary file is left.
//
// The upload sessions that are left on the server are counted, after the push
// and after the next. The client cannot remove a session that it never heard
// of; a push that was cancelled leaves none.
func TestFaults(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	plugin := filepath.Join(t.TempDir(), "docker-gitea")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "nethttpomithttp2", "-o", plugin, "../../cmd/docker-gitea")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	engines := startEngines(t)
	started := goleak.IgnoreCurrent()
	var l ledger
	t.Run("faults on the way", func(t *testing.T) { sweepSources(t, &l, engines, temporary) })
	t.Run("copies", func(t *testing.T) { copyAcross(t, &l, plugin) })
	t.Run("cancelled", func(t *testing.T) { cancelEverywhere(t, &l) })
	t.Run("client", func(t *testing.T) { strikeClients(t, &l, plugin, engines) })
	t.Run("Gitea", func(t *testing.T) { strikeGitea(t, &l, plugin, engines) })
	t.Run("disk", func(t *testing.T) { fillDisk(t, &l, plugin) })
	t.Run("crowd", func(t *testing.T) { pushSideBySide(t, &l) })
	goleak.VerifyNone(t, started)
	if n := filesLeft(t, temporary); n > 0 {
		t.Errorf("%d temporary files are left", n)
	}
	l.publish(t)
}

// startEngines starts the daemons that images come from.
func startEngines(t *testing.T) map[servers.Store]*servers.Engine {
	t.Helper()
	engines := map[servers.Store]*servers.Engine{}
	for _, store := range []servers.Store{servers.Classic, servers.Containerd} {
		e, err := servers.StartEngine(t.Context(), store, servers.EngineOptions{})
		servers.Need(t, err)
		t.Cleanup(func() { servers.Need(t, e.Stop()) })
		engines[store] = e
	}
	return engines
}

// sweepSources pushes from everywhere to everywhere.
func sweepSources(t *testing.T, l *ledger, engines map[servers.Store]*servers.Engine, temporary string) {
	t.Helper()
	subjects := atRest
	for store, e := range engines {
		subjects = append(subjects, inDaemon(t, store, e, *positions+10)...)
	}
	for _, subject := range subjects {
		starts := targets
		if subject.name == atRest[1].name { // in chunks
			starts = append(slices.Clip(targets), startForgejoTarget)
		}
		for _, start := range starts {
			t.Run(subject.name, func(t *testing.T) {
				t.Parallel()
				k := start(t)
				s := sweep{subject: subject, target: k, ledger: l, entry: entry{situation: subject.name, registry: k.name}}
				n := max(int(float64(*positions)*subject.share)/2, 1)
				s.run(t, interfere.StartCutter(t, k.Host), n)
				s.run(t, interfere.StartGateway(t, k.Host, k.challenge), n)
				s.entry.damaged = k.damaged
				s.entry.files = namedFiles(t, temporary)
				l.add(s.entry)
			})
		}
	}
}

// filesLeft counts the files of ours in a directory, and those without a name
// that this process has open.
func filesLeft(t *testing.T, dir string) int {
	t.Helper()
	n := namedFiles(t, dir)
	open, err := filepath.Glob("/proc/self/fd/*")
	servers.Need(t, err)
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, filepath.Join(dir, "docker-gitea-")) {
			n++
		}
	}
	return n
}

func namedFiles(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "docker-gitea-*"))
	servers.Need(t, err)
	return len(found)
}
