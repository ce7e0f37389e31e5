package credhelper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/registry"
)

// Secrets are asked for on the controlling terminal, never on standard input,
// and are not shown. Without a terminal there is an error that names the flag
// to use.

var errNoTerminal = errors.New("there is no terminal to ask on: use --password-stdin or --with-token")

// isTerminal reports whether what is typed at a stream would be shown.
func isTerminal(stream io.Reader) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// askSecret asks for a secret on the terminal.
func askSecret(ctx context.Context, prompt string) (registry.Secret, error) {
	in, out, err := openTerminal()
	if err != nil {
		return registry.Secret{}, errNoTerminal
	}
	defer func() { _, _ = in.Close(), out.Close() }()
	fd := int(in.Fd())
	// Before the prompt: who types at once is not shown either.
	before, err := term.MakeRaw(fd)
	if err != nil {
		return registry.Secret{}, errNoTerminal
	}
	// An interrupt leaves the terminal as it was found.
	defer func() { _ = term.Restore(fd, before) }()
	terminal := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, out}, "")
	text, err := store.Abandonable(ctx, func() (string, error) { return terminal.ReadPassword(prompt) })
	if errors.Is(err, io.EOF) { // Ctrl-C, which is no signal here, and Ctrl-D
		err = errors.New("nothing was typed")
	}
	return registry.NewSecret(text), err
}

// askLine reads one line from standard input, which may be a pipe: what it is
// used for is worthless to others.
func (h *helper) askLine(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(h.Stderr, prompt)
	line, err := store.Abandonable(ctx, func() (string, error) { return bufio.NewReader(h.Stdin).ReadString('\n') })
	if err != nil && line == "" {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// openTerminal opens the controlling terminal.
func openTerminal() (in, out *os.File, err error) {
	if runtime.GOOS != "windows" {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		return tty, tty, err
	}
	if in, err = os.OpenFile("CONIN$", os.O_RDWR, 0); err != nil {
		return nil, nil, err
	}
	if out, err = os.OpenFile("CONOUT$", os.O_RDWR, 0); err != nil {
		_ = in.Close()
		return nil, nil, err
	}
	return in, out, nil
}
