//go:build !linux

package servers

import (
	"os/exec"
	"time"
)

func bindToParent(*exec.Cmd) {}

func unshareMounts(*exec.Cmd) {}

func unshareNetwork(*exec.Cmd) {}

func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }

// CPU is known on Linux alone.
func (s *Server) CPU() (time.Duration, error) { return 0, nil }
