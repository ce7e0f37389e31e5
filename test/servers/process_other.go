//go:build !linux

package servers

import "os/exec"

func bindToParent(*exec.Cmd) {}

func unshareMounts(*exec.Cmd) {}

func unshareNetwork(*exec.Cmd) {}

func terminate(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
