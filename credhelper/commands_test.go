package credhelper

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documentedCommand is a command of ours with its arguments, in a block of
// code or in a line of text.
var documentedCommand = regexp.MustCompile("(?:" + program + " |`)((?:login|logout|status|configure-docker|unconfigure-docker|doctor|register-app|version)\\b[^`\\n&#<>|;…\"]*)")

// Every command that the documentation names has the flags it gives it.
func TestDocumentedCommandsExist(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range append(files, "../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range documentedCommand.FindAllStringSubmatch(string(data), -1) {
			count++
			args := append(strings.Fields(match[1]), "--help")
			if out := newHome(t).run(t, "", args...); out.code != exitOK {
				t.Errorf("%s: %q: %s", file, match[1], out.stderr)
			}
		}
	}
	if count < 30 {
		t.Errorf("got %d commands, want at least 30", count)
	}
}

func TestHelpFitsTerminal(t *testing.T) {
	commands := [][]string{nil}
	for _, cmd := range (&helper{}).rootCommand().Commands() {
		commands = append(commands, []string{cmd.Name()})
	}
	for _, args := range commands {
		out := newHome(t).run(t, "", append(args, "--help")...).must(t)
		for line := range strings.Lines(out.stdout) {
			// The one line that is cobra's.
			if len(line) > 81 && !strings.HasPrefix(line, "Use \"") {
				t.Errorf("%v: %d columns: %s", args, len(line)-1, line)
			}
		}
	}
}
