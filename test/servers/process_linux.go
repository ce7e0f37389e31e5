package servers

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// bindToParent makes cmd the leader of a process group,
// to be killed by the kernel when the thread that starts it ends.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// unshareMounts keeps what cmd mounts to itself. It follows bindToParent.
func unshareMounts(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNS }

// unshareNetwork gives cmd no network but a loopback that is down. It follows
// bindToParent.
func unshareNetwork(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags |= syscall.CLONE_NEWNET }

// terminate asks the process to end; one that has ended is no error.
func terminate(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// killGroup kills the process and its children.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
