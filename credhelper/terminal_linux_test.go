package credhelper

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a new terminal: what a user types and sees, and the end that a
// program has.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { user.Close() })
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// S33: at a terminal, what is meant to be piped in is asked for, and not shown.
func TestTypedSecretIsNotShown(t *testing.T) {
	g, m := newFakeGitea(t, ""), newHome(t)
	g.tokens[canary], g.password = "all", canary
	for prompt, args := range map[string][]string{
		"access token: ": {"login", "--with-token"},
		"password of ":   {"login", "--username", "alice", "--password-stdin"},
	} {
		user, tty := terminal(t)
		cmd := m.command(t, "", append(args, "--ca-file", g.caFile, g.host)...)
		cmd.Stdin, cmd.Stderr = tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		tty.Close()
		var seen strings.Builder
		buffer := make([]byte, 1024)
		typed := false
		for {
			n, err := user.Read(buffer)
			seen.Write(buffer[:n])
			if !typed && strings.Contains(seen.String(), prompt) {
				_, _ = io.WriteString(user, canary+"\n")
				typed = true
			}
			if err != nil { // the program has ended
				break
			}
		}
		if err := cmd.Wait(); err != nil || !typed || strings.Contains(seen.String(), canary) {
			t.Errorf("%v: %v, typed: %t, and on the terminal: %q", args, err, typed, seen.String())
		}
	}
}
