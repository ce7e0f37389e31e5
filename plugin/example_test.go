package plugin_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/docker-gitea/docker-gitea/plugin"
)

// Main is the whole program; what is around it is handed in.
func ExampleMain() {
	code := plugin.Main(context.Background(), plugin.System{
		Program:   "docker-gitea",
		Args:      []string{"push"},
		LookupEnv: func(string) (string, bool) { return "", false },
		Stdin:     strings.NewReader(""),
		Stdout:    os.Stdout,
		Stderr:    os.Stdout,
		Version:   "1.2.3",
	})
	fmt.Println("exit code", code)
	// Output:
	// docker-gitea push: a SOURCE is needed
	// hint: docker-gitea push --help
	// exit code 125
}
