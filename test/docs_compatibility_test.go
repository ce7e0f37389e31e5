//go:build e2e

package test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

var attesting = flag.Bool("compatibility", false, "have what passes written into docs/compatibility.md")

// compatibility is the page that says what was shown with what.
const compatibility = "../docs/compatibility.md"

// pageLock keeps the page to one test at a time.
var pageLock sync.Mutex

// attest notes what a test has shown with the programs, once it has passed. The
// row takes the place of the one that says the same.
func attest(t *testing.T, kind, name, done string, programs ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() || t.Skipped() || !*attesting {
			return
		}
		var versions []string
		for _, program := range programs {
			version, err := servers.Version(context.WithoutCancel(t.Context()), program)
			servers.Need(t, err)
			versions = append(versions, version)
		}
		commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
		servers.Need(t, err)
		replaceRow(t, "| "+kind+" | "+name+" | "+done+" |",
			" "+strings.Join(versions, ", ")+" | `"+t.Name()+"` | "+strings.TrimSpace(string(commit))+" | "+time.Now().UTC().Format(time.DateOnly)+" |")
	})
}

// replaceRow writes the row that begins so into the page's table, which is
// sorted.
func replaceRow(t *testing.T, begin, rest string) {
	t.Helper()
	pageLock.Lock()
	defer pageLock.Unlock()
	page, err := os.ReadFile(compatibility)
	servers.Need(t, err)
	const open, shut = "<!-- shown -->\n| | | what was done | version | test | commit | date |\n|---|---|---|---|---|---|---|\n", "<!-- /shown -->"
	before, after, found := strings.Cut(string(page), open)
	table, after, closed := strings.Cut(after, shut)
	if !found || !closed {
		t.Fatalf("%s has no table", compatibility)
	}
	rows := slices.DeleteFunc(slices.Collect(strings.Lines(table)), func(row string) bool { return strings.HasPrefix(row, begin) })
	rows = append(rows, begin+rest+"\n")
	slices.Sort(rows)
	servers.Need(t, os.WriteFile(compatibility, []byte(before+open+strings.Join(rows, "")+shut+after), 0o600))
}
