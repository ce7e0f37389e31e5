//go:build e2e && linux

package test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// TestCompletionInShells presses the tabulator in real shells: after docker,
// whose completion asks the plugin, and after the plugin's own name.
func TestCompletionInShells(t *testing.T) {
	e := engine(t, servers.Classic)
	servers.Need(t, e.Build(t.Context(), "tabulated:dev", samples.BuildContext(t, 71, 1000)))
	programs := pluginDir(t)
	for name, start := range completingShells {
		t.Run(name, func(t *testing.T) {
			program(t, name)
			home := t.TempDir()
			plugins := filepath.Join(home, ".docker", "cli-plugins")
			if err := os.MkdirAll(plugins, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(programs, "docker-gitea"), filepath.Join(plugins, "docker-gitea")); err != nil {
				t.Fatal(err)
			}
			term := newTerminal(t, 100, 24, "PATH="+programs+":"+filepath.Dir(program(t, "docker"))+":"+os.Getenv("PATH"),
				"HOME="+home, "DOCKER_CONFIG=", "DOCKER_HOST="+e.Host(), "TERM=screen-256color")
			term.enter(start)
			term.enter("clear; echo read''y")
			term.await(`(?m)^ready$`)
			for _, docker := range []string{"docker gitea", "docker-gitea"} {
				term.tab(docker + " pus")
				term.tab("tabul") // the blank after "push" is the completion's
				term.await(docker + ` push tabulated:dev`)
				term.tmux("send-keys", "C-u")
				term.tab(docker + " push tabulated:d")
				term.await(docker + ` push tabulated:dev *\n`)
				term.tmux("send-keys", "C-u")
				term.tab(docker + " push --via ex")
				term.await(docker + ` push --via export`)
				term.tmux("send-keys", "C-u")
			}
		})
	}
}

// completingShells are the shells, and how docker and the plugin complete in them.
var completingShells = map[string]string{
	"bash": "bash --norc -i\n" +
		". /usr/share/bash-completion/bash_completion; . <(docker completion bash); . <(docker-gitea completion bash)",
	"zsh":  "zsh -f -i\nautoload -Uz compinit; compinit -u -D; . <(docker completion zsh); . <(docker-gitea completion zsh)",
	"fish": "fish --no-config -i\ndocker completion fish | source; docker-gitea completion fish | source",
}

// tab types the beginning of a word and has the shell complete it.
func (term *terminal) tab(text string) {
	term.tmux("send-keys", "-l", text)
	term.tmux("send-keys", "Tab")
}
