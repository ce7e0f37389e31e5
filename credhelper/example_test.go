package credhelper_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/docker-gitea/docker-gitea/credhelper"
)

// Docker starts the program with a verb, and writes the registry's name to its
// standard input.
func ExampleMain() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	environment := map[string]string{
		"HOME":                          dir,
		"DOCKER_CREDENTIAL_GITEA_DIR":   dir,
		"DOCKER_CREDENTIAL_GITEA_HOST":  "git.example.com",
		"DOCKER_CREDENTIAL_GITEA_USER":  "me",
		"DOCKER_CREDENTIAL_GITEA_TOKEN": "a-token",
	}
	code := credhelper.Main(context.Background(), credhelper.System{
		Args:      []string{"get"},
		LookupEnv: func(key string) (string, bool) { value, set := environment[key]; return value, set },
		Stdin:     strings.NewReader("git.example.com"),
		Stdout:    os.Stdout,
		Stderr:    os.Stderr,
		Version:   "1.2.3",
	})
	fmt.Println("exit code", code)
	// Output:
	// {"ServerURL":"git.example.com","Username":"me","Secret":"a-token"}
	// exit code 0
}
