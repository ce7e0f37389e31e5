package test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted    = regexp.MustCompile("`([^`\\s]+)`")
	stepInDoc = regexp.MustCompile(`(?m)^[1-9]\. `)
	pathInDoc = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)+$|^[A-Z]+\.md$`)
	testInDoc = regexp.MustCompile(`^[tT]est[A-Z]\w+$`)
)

// TestContributingNamesWhatExists looks at each guide "A new …": it has three
// steps, and the files and tests that they name exist.
func TestContributingNamesWhatExists(t *testing.T) {
	page, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	guides, paths := 0, 0
	for section := range strings.SplitSeq(string(page), "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		if !strings.HasPrefix(title, "A new ") {
			continue
		}
		guides++
		if n := len(stepInDoc.FindAllString(text, -1)); n != 3 {
			t.Errorf("%s: %d steps, want 3", title, n)
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			switch name := m[1]; {
			case testInDoc.MatchString(name):
				if !bytes.Contains(tests, []byte("func "+name+"(")) {
					t.Errorf("%s: there is no %s", title, name)
				}
			case pathInDoc.MatchString(name):
				paths++
				if _, err := os.Stat(filepath.Join("..", name)); err != nil {
					t.Errorf("%s: %v", title, err)
				}
			}
		}
	}
	if guides < 5 || paths < 20 {
		t.Errorf("got %d guides that name %d files, want 5 and 20 at least", guides, paths)
	}
}

// testNames is the text of all tests of the module.
func testNames(t *testing.T) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			all = append(all, text...)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
