package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/docker-gitea/docker-gitea/credhelper"
	"github.com/docker-gitea/docker-gitea/plugin"
)

// completions maps shells to the directory below share, and to the name that
// the shell expects of a program's completion.
var completions = []struct{ shell, dir, name string }{
	{"bash", "bash-completion/completions", "%s"},
	{"zsh", "zsh/site-functions", "_%s"},
	{"fish", "fish/vendor_completions.d", "%s.fish"},
	{"powershell", "powershell", "%s.ps1"},
}

// share writes manual pages and completions, in directories that have their
// places below /usr/share.
func (r *release) share(ctx context.Context, dir string) error {
	man := filepath.Join(dir, "man", "man1")
	if err := os.MkdirAll(man, 0o755); err != nil {
		return err
	}
	for _, command := range []*cobra.Command{plugin.Command(), credhelper.Command()} { //nolint:contextcheck // they are not run
		command.InitDefaultCompletionCmd()
		command.DisableAutoGenTag = true
		header := &doc.GenManHeader{Section: "1", Date: &r.date, Source: "docker-gitea " + r.version, Manual: "docker-gitea"}
		if err := doc.GenManTree(command, header, man); err != nil {
			return fmt.Errorf("write manual pages: %w", err)
		}
	}
	for _, c := range completions {
		if err := os.MkdirAll(filepath.Join(dir, c.dir), 0o755); err != nil {
			return err
		}
		for _, program := range programs {
			text, err := completion(ctx, program, c.shell)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, c.dir, fmt.Sprintf(c.name, program)), text, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// completion is what the program itself prints for the shell.
func completion(ctx context.Context, program, shell string) ([]byte, error) {
	var out, failure bytes.Buffer
	lookup := func(string) (string, bool) { return "", false }
	args := []string{"completion", shell}
	var code int
	if program == "docker-gitea" {
		code = plugin.Main(ctx, plugin.System{Program: program, Args: args, LookupEnv: lookup, Stdout: &out, Stderr: &failure})
	} else {
		code = credhelper.Main(ctx, credhelper.System{Args: args, LookupEnv: lookup, Stdout: &out, Stderr: &failure})
	}
	if code != 0 {
		return nil, fmt.Errorf("%s completion %s: exit code %d: %s", program, shell, code, &failure)
	}
	return out.Bytes(), nil
}
