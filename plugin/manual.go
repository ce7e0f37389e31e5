package plugin

import (
	"io"

	"github.com/spf13/cobra"
)

// Command returns the commands as they hang below docker, for manuals. They
// are not to be run; [Main] does that.
func Command() *cobra.Command {
	a := &app{System: System{
		LookupEnv: func(string) (string, bool) { return "", false },
		Stdout:    io.Discard,
		Stderr:    io.Discard,
	}}
	root := a.newCommand(formDocker, nil)
	gitea, _, _ := root.Find([]string{pluginName})
	return gitea
}
