package test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The walks through the rooms name files that exist, in the order in which they are
// passed, and no room twice.
func TestWalksMeetNoRoomTwice(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walks, found := strings.Cut(string(data), "\n## Three walks\n")
	walks, _, ended := strings.Cut(walks, "\n## ")
	if !found || !ended {
		t.Fatal("docs/architecture.md has no walks")
	}
	stop := regexp.MustCompile("^([0-9]+)\\. `([a-z0-9/]+\\.go)`")
	beside := regexp.MustCompile("`([a-z0-9/]+\\.go)`")
	var seen []string
	stops := 0
	for line := range strings.Lines(walks) {
		parts := stop.FindStringSubmatch(line)
		if parts == nil {
			continue
		}
		if parts[1] == "1" {
			seen = nil
		}
		stops++
		folder := path.Dir(parts[2])
		if slices.Contains(seen, folder) {
			t.Errorf("a walk meets %s twice: %s", folder, line)
		}
		seen = append(seen, folder)
		for _, name := range beside.FindAllStringSubmatch(line, -1) {
			file := name[1]
			if !strings.Contains(file, "/") {
				file = folder + "/" + file
			}
			if _, err := os.Stat(filepath.FromSlash("../" + file)); err != nil {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
	if stops < 12 {
		t.Errorf("got %d stops", stops)
	}
}
