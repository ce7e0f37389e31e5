package credhelper

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
)

// asProgram makes the test binary be the program, for tests of several
// processes.
const asProgram = "CREDHELPER_TEST_PROGRAM"

// asVisitor makes it open an address, as another user's program would.
const asVisitor = "CREDHELPER_TEST_VISIT"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		os.Exit(Main(ctx, System{
			Args: os.Args[1:], LookupEnv: os.LookupEnv,
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test",
			Browser: noBrowser,
		}))
	}
	if address := os.Getenv(asVisitor); address != "" {
		resp, err := http.Get(address)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_ = resp.Body.Close()
		fmt.Print(resp.StatusCode)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func noBrowser() func(string) error { return nil }

// userHome is a home directory in which the program runs.
type userHome struct {
	dir string
	env map[string]string
}

// newHome returns an empty home whose logins are stored in files.
func newHome(t *testing.T) *userHome {
	t.Helper()
	dir := t.TempDir()
	return &userHome{dir, map[string]string{
		envDir:          filepath.Join(dir, "own"),
		envStorage:      store.File,
		"DOCKER_CONFIG": filepath.Join(dir, "docker"),
	}}
}

// output is what a run wrote, and its exit code.
type output struct {
	stdout, stderr string
	code           int
}

func (o output) all() string { return o.stdout + o.stderr }

// run runs the program in this process.
func (m *userHome) run(t *testing.T, stdin string, args ...string) output {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(t.Context(), System{
		Args:      args,
		LookupEnv: func(key string) (string, bool) { value, set := m.env[key]; return value, set },
		Stdin:     strings.NewReader(stdin),
		Stdout:    &stdout,
		Stderr:    &stderr,
		Version:   "test",
		Browser:   noBrowser,
	})
	return output{stdout.String(), stderr.String(), code}
}

// command is the program as a process of its own.
func (m *userHome) command(t *testing.T, stdin string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = []string{asProgram + "=1", "HOME=" + m.dir, "PATH=" + os.Getenv("PATH")}
	for name, value := range m.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = strings.NewReader(stdin)
	return cmd
}

// must fails the test unless the run succeeded.
func (o output) must(t *testing.T) output {
	t.Helper()
	if o.code != 0 {
		t.Fatalf("exit code %d, want 0\nstdout: %s\nstderr: %s", o.code, o.stdout, o.stderr)
	}
	return o
}
