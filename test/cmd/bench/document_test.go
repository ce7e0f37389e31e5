//go:build unix

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The next run writes the texts of the page as they are in this program. So an edit of
// one of them is an edit of both.
func TestDocumentIsThatOfTheProgram(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(page), "\n"+end) {
		t.Error("docs/performance.md does not end with the constant end")
	}
	pattern := strings.NewReplacer("%d", `\d+`, "%s", `\w+`, "%%", "%").Replace(regexp.QuoteMeta(intro))
	if !regexp.MustCompile("^" + pattern).Match(page) {
		t.Error("docs/performance.md does not begin with the constant intro")
	}
}
