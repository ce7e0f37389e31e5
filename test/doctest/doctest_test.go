package doctest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker-gitea/docker-gitea/test/doctest"
)

const page = "<!-- test: untrusted, uninstalled -->\n" +
	"# Title\n\n<!-- setup\ntouch a\n-->\n\n" +
	"```console\n$ echo a \\\n>   b\na b\n\n$ true\n```\n\n" +
	"```yaml gitea.yaml\nkind: x\n```\n\n" +
	"*Not run by the tests: it needs a cluster.*\n\n```sh\nkubectl\n```\n\n" +
	"- item:\n\n  ```sh\n  ls\n  pwd\n  ```\n\n" +
	"```json\n{}\n```\n"

func TestParse(t *testing.T) {
	got, err := doctest.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := &doctest.Page{
		Options: []string{"untrusted", "uninstalled"},
		Steps: []doctest.Step{
			{Line: 4, Text: "touch a\n"},
			{Line: 9, Text: "echo a \\\n  b\n", Transcript: true, Output: "a b\n\n"},
			{Line: 13, Text: "true\n", Transcript: true},
			{Line: 16, Text: "kind: x\n", File: "gitea.yaml"},
			{Line: 28, Text: "ls\npwd\n"},
		},
		Skipped: []doctest.Skip{{Line: 22, Reason: "it needs a cluster"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseErrors(t *testing.T) {
	for name, text := range map[string]string{
		"indented command":      "    $ docker gitea version\n",
		"command in a block":    "```\n$ docker gitea version\n```\n",
		"powershell unmarked":   "```powershell\ndir\n```\n",
		"transcript without $":  "```console\ndocker\n```\n",
		"mark for another text": "*Not run by the tests: x.*\n\nText.\n\n```powershell\ndir\n```\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := doctest.Parse(text); err == nil || !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("got %v, want an error with the line", err)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	const a, b = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
	for _, c := range []struct {
		name, want, got string
		matches         bool
	}{
		{"same", "x\n", "x\n", true},
		{"different", "x\n", "y\n", false},
		{"less", "x\n", "", false},
		{"more", "x\n", "x\ny\n", false},
		{"spaces", "a   b\n\n", "a b\r\n", true},
		{"digest", a + ": Pushed\n", b + ": Pushed\n", true},
		{"digest twice", a + " " + a + "\n", a + " " + b + "\n", false},
		{"date", "until 2026-01-02\n", "until 2027-11-24\n", true},
		{"duration", "took 1.5 s\n", "took 20 ms\n", true},
		{"number", "2 tags\n", "3 tags\n", false},
		{"part of a line", "a … c\n", "a b c\n", true},
		{"lines", "a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"no lines", "a\n…\nd\n", "a\nd\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := (doctest.Values{}).Match(c.want, c.got); (err == nil) != c.matches {
				t.Errorf("got %v, want a match: %t", err, c.matches)
			}
		})
	}
}

// What one command prints and a later one is given is what it printed in this run.
func TestValuesAreRemembered(t *testing.T) {
	const paper, here, other = "0123456789ab", "cdefcdefcdef", "999999999999"
	values := doctest.Values{}
	if err := values.Match("id "+paper+"\n", "id "+here+"\n"); err != nil {
		t.Fatal(err)
	}
	if got := values.Replace("show " + paper); got != "show "+here {
		t.Errorf("got %q", got)
	}
	if err := values.Match(paper+"\n", other+"\n"); err == nil {
		t.Error("another value was accepted for the same digest")
	}
}

// What a page does wrong shows without running it.
func TestEveryPageParses(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(pages, "../../README.md", "../../CONTRIBUTING.md", "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := doctest.Parse(string(text)); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^():#]*)(?:#([^():]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\d _-]`)
)

// Links lead to files and headings that are there.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	top, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Concat(pages, top, []string{"../README.md"}) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			target := file
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(file), found[1])
			}
			if !leads(target, found[2]) {
				t.Errorf("%s: %s leads nowhere", filepath.Base(file), found[0][1:])
			}
		}
	}
}

// leads reports whether there is the file, with the heading if one is named.
func leads(file, anchor string) bool {
	if anchor == "" {
		_, err := os.Stat(file)
		return err == nil
	}
	text, err := os.ReadFile(file)
	return err == nil && slices.ContainsFunc(heading.FindAllStringSubmatch(string(text), -1), func(found []string) bool {
		return strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-") == anchor
	})
}

func TestSection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(path, []byte("before\n<!-- a -->\nold\n<!-- /a -->\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doctest.Section(t, path, "a", "new\n", true)
	doctest.Section(t, path, "a", "new\n", false)
	data, err := os.ReadFile(path)
	if want := "before\n<!-- a -->\nnew\n<!-- /a -->\nafter\n"; err != nil || string(data) != want {
		t.Errorf("got %s (%v), want %s", data, err, want)
	}
}
