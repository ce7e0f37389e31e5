//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// measure is what one run took.
type measure struct {
	wall, cpu time.Duration
	registry  time.Duration // its processor time
	peak      int64         // bytes of memory
	sent      int64         // bytes of request bodies
	passed    int64         // bytes of a link, those that were lost and sent again as well
	requests  int
}

func (m measure) String() string {
	return fmt.Sprintf("%.2f s, cpu %.2f s and the registry's %.2f s, %d MiB, %d bytes in %d requests", m.wall.Seconds(), m.cpu.Seconds(), m.registry.Seconds(), m.peak>>20, m.sent, m.requests)
}

// target is a new registry, and what a program needs to know to push there.
type target struct {
	gitea   *servers.Gitea
	dir     string // HOME
	env     []string
	host    string
	counter *counter // nil unless counting
	road    *road    // nil unless there is a link
	close   func() error
}

func newTarget(ctx context.Context, site servers.GiteaOptions, l link, counting bool) (t *target, err error) {
	t = &target{close: func() error { return nil }}
	if t.gitea, err = servers.StartGitea(ctx, site); err != nil {
		return nil, err
	}
	started := t
	defer func() {
		if err != nil {
			started.stop()
		}
	}()
	for _, org := range []string{"bench", "other"} {
		if err := t.gitea.CreateOrg(ctx, org); err != nil {
			return nil, err
		}
	}
	if t.dir, err = os.MkdirTemp("", "bench-home-"); err != nil {
		return nil, err
	}
	server := *t.gitea.Server
	switch {
	case counting:
		if t.counter, err = startCounter(ctx, &server); err != nil {
			return nil, err
		}
		t.close = t.counter.close
	case l != link{}:
		if t.road, err = startRoad(ctx, &server); err != nil {
			return nil, err
		}
		t.close = t.road.close
	}
	t.host = server.Host
	t.env, err = server.Env(t.dir, servers.AdminUser, servers.AdminPassword)
	return t, err
}

func (t *target) stop() {
	if err := errors.Join(t.close(), t.gitea.Stop(), os.RemoveAll(t.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "bench: stop:", err)
	}
}

// be has what is sent from now on take a link.
func (t *target) be(ctx context.Context, l link) {
	if t.road != nil {
		t.road.be(ctx, l)
	}
}

// install has docker find plugin.
func (t *target) install(plugin string) error {
	link := filepath.Join(t.dir, "cli-plugins", "docker-gitea")
	err := os.Mkdir(filepath.Dir(link), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, os.Symlink(plugin, link))
}

// trust has the programs trust another authority, too.
func (t *target) trust(authority string) error {
	var both []byte
	for _, file := range []string{t.gitea.CAFile, authority} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		both = append(both, data...)
	}
	file := filepath.Join(t.dir, "authorities.pem")
	t.env = append(t.env, "SSL_CERT_FILE="+file)
	return os.WriteFile(file, both, 0o600)
}

// push runs a program. Its peak is at least that of this one, which therefore
// keeps nothing large in memory.
func (t *target) push(ctx context.Context, tool tool, s subject, name string) (measure, error) {
	args := tool.args(s, t.host+"/"+name)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if tool.plugin != "" {
		if err := t.install(tool.plugin); err != nil {
			return measure{}, err
		}
	}
	if s.authority != "" {
		if err := t.trust(s.authority); err != nil {
			return measure{}, err
		}
	}
	cmd.Env = append(t.env, "HOME="+t.dir, "XDG_RUNTIME_DIR="+filepath.Join(t.dir, "run"), "DOCKER_HOST="+s.host)
	before, err := t.gitea.CPU()
	if err != nil {
		return measure{}, err
	}
	var passed int64
	if t.road != nil {
		passed = t.road.sent()
	}
	start := time.Now()
	out, err := cmd.CombinedOutput()
	m := measure{wall: time.Since(start)}
	if err != nil {
		return m, fmt.Errorf("%w: %s", err, out)
	}
	after, err := t.gitea.CPU()
	if err != nil {
		return m, err
	}
	m.registry = after - before
	if t.road != nil {
		m.passed = t.road.sent() - passed
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.peak = usage.Maxrss << 10
	}
	return m, nil
}
