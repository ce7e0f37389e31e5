//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSecretsAreTypedUnseen types secrets at a terminal: where a program asks for
// one, it is not shown, and where standard input would show it, it is refused.
func TestSecretsAreTypedUnseen(t *testing.T) {
	const secret = "typed-at-a-terminal"
	plugin, helper := filepath.Join(pluginDir(t), "docker-gitea"), filepath.Join(credhelperDir(t), "docker-credential-gitea")
	server, images := newWitness(t, false, giteaIn), t.TempDir()
	if err := writePluginImages(images); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		// prompt is after what the secret is typed, want what is shown in the end.
		prompt, want string
	}{
		{[]string{helper, "login", "--plain-http", "--with-token", "--username", "alice", server.host}, "access token: ", "logged in to "},
		{[]string{helper, "login", "--plain-http", "--username", "alice", server.host}, "password of alice at ", "logged in to "},
		{[]string{helper, "login", "--plain-http", "--username", "alice", "--password-stdin", server.host}, "password of alice at ", "logged in to "},
		{[]string{plugin, "push", "--plain-http", "--username", "alice", "--password-stdin", filepath.Join(images, "archive.tar"), server.host + "/alice/app"}, "", "standard input is a terminal, which would show the password"},
	} {
		t.Run(strings.Join(test.args[1:5], " "), func(t *testing.T) {
			shown := atTerminal(t, test.args, test.prompt, secret)
			if strings.Contains(shown, secret) || !strings.Contains(shown, test.want) {
				t.Errorf("the terminal shows %q", shown)
			}
		})
	}
	if len(server.saw("[Bb]asic|token")) == 0 {
		t.Error("nothing that was typed arrived")
	}
}

// atTerminal runs a program at a terminal of its own, types a line after the
// prompt, and returns what the terminal showed.
func atTerminal(t *testing.T, args []string, prompt, line string) string {
	t.Helper()
	here, there := openPseudoTerminal(t)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=/usr/bin:/bin", "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CREDENTIAL_GITEA_STORAGE=file"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = there, there, there
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = there.Close()
	var shown strings.Builder
	asked := prompt == ""
	for buf := make([]byte, 4096); ; {
		n, err := here.Read(buf)
		shown.Write(buf[:n])
		if !asked && strings.Contains(shown.String(), prompt) {
			asked = true
			if _, err := here.WriteString(line + "\r"); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil { // the program has ended
			break
		}
	}
	_ = cmd.Wait() // how it ends, it shows
	return shown.String()
}

// openPseudoTerminal opens both ends of a terminal.
func openPseudoTerminal(t *testing.T) (here, there *os.File) {
	t.Helper()
	here, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	if err := unix.IoctlSetPointerInt(int(here.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(here.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	there, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	return here, there
}
