// Package rosetta stands in for github.com/tonistiigi/go-rosetta, which tells
// `docker version` on macOS whether it runs under Rosetta. The tests run the
// docker command on Linux only, where the answer is no.
package rosetta

import "runtime"

// Enabled reports whether the process runs under Rosetta.
func Enabled() bool { return false }

// NativeArch returns the architecture of the machine.
func NativeArch() string { return runtime.GOARCH }
