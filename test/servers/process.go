package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	pollTick  = 20 * time.Millisecond
	stopGrace = 15 * time.Second
	logTail   = 4000
)

// command says how to run a server.
type command struct {
	path string
	args []string
	env  []string
	dir  string // working folder, and where the log is written
	// mounts is for a server that mounts things: they vanish with it,
	// however it ends. It needs root.
	mounts bool
	// network gives the server one of its own. It needs root.
	network bool
}

func (c command) logFile() string { return filepath.Join(c.dir, "server.log") }

func (c command) log() string {
	data, err := os.ReadFile(c.logFile())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// process is a running server in a process group of its own.
// The nil process is one that has ended.
type process struct {
	command command
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	err     error         // why it ended; read after done
}

// start runs the command until it ends, is stopped, or we end ourselves.
func (c command) start() (*process, error) {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open server log: %w", err)
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.Stdout, cmd.Stderr = log, log
	bindToParent(cmd)
	if c.mounts {
		unshareMounts(cmd)
	}
	if c.network {
		unshareNetwork(cmd)
	}

	p := &process{command: c, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel ends the child when the thread that started it ends,
		// which Go may do at any time to a thread that is not locked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(c.path), err)
	}
	return p, nil
}

// await polls until ready answers nil. It gives up when ctx is done
// and when the process ends, and then shows the end of its log.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollTick)
	defer tick.Stop()
	name := filepath.Base(p.command.path)
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while starting: %w\n%s", name, errors.Join(p.err, err), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w\n%s", name, ctx.Err(), err, p.tail())
		case <-tick.C:
		}
	}
}

func (p *process) tail() string {
	log := p.command.log()
	return strings.TrimSpace(log[max(0, len(log)-logTail):])
}

// stop asks the process to end and kills it if it does not in time.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := terminate(p.cmd); err != nil {
		p.kill()
		return fmt.Errorf("stop %s: %w", filepath.Base(p.command.path), err)
	}
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.kill()
	}
	return nil
}

// kill ends the whole process group without asking and waits for it.
func (p *process) kill() {
	if p == nil {
		return
	}
	killGroup(p.cmd)
	<-p.done
}
