package servers

import (
	"errors"
	"fmt"
	"os"
)

// MissingError says that a program is not installed and how to install it.
type MissingError struct {
	Program string
	Install string // a command to run in the project's folder
}

// Error names the program and the command that installs it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed; run: %s", e.Program, e.Install)
}

// TB is the part of [testing.TB] that Need uses.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// Need ends the test unless err is nil. A program that is not installed skips
// the test and names the command to install it, but with CI set in the
// environment, where everything must be there, it fails like any other error.
func Need(t TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if missing := (*MissingError)(nil); errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skipf("%v", missing)
	}
	t.Fatalf("%v", err)
}
