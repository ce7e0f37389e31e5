package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
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

// CPU is the processor time that the server has used.
func (s *Server) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	// proc_pid_stat(5): utime and stime are the fields 14 and 15, in ticks of
	// 10 ms; the name, which is the second, may have spaces.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("read processor time: malformed stat")
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(errUser, errSystem)
}
