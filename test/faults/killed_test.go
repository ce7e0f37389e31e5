//go:build e2e

package faults

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// The faults that strike a push by the real program, in the middle.
const (
	faultKill      interfere.Fault = "kill -9 of the client"
	faultInterrupt interfere.Fault = "Ctrl-C"
	// faultRestart kills Gitea and starts it again at once.
	faultRestart interfere.Fault = "kill -9 and restart of Gitea"
	// faultGone kills Gitea, which is back only after the push has ended.
	faultGone interfere.Fault = "kill -9 of Gitea"
)

// errand is a kind of source as the program's arguments name it.
type errand struct {
	name string
	// source gives the arguments for image n, and standard input.
	source func(t *testing.T, n int) (args []string, stdin []byte)
	// engine holds the images, if one does.
	engine *servers.Engine
}

// errands are kinds that differ in what a push has begun when it is struck.
func errands(t *testing.T, images int, engines map[servers.Store]*servers.Engine) []errand {
	t.Helper()
	all := []errand{
		{name: "an OCI layout", source: func(t *testing.T, n int) ([]string, []byte) {
			t.Helper()
			return []string{samples.Layout(t, byte(n), smallLayer+n)}, nil
		}},
		{name: "a large archive on standard input", source: func(t *testing.T, n int) ([]string, []byte) {
			t.Helper()
			return []string{"-"}, samples.DockerArchive(t, byte(n), largeLayer+n)
		}},
	}
	for store, e := range engines {
		load(t, e, images)
		for via, way := range map[string]string{"export": "exported", "daemon": "pushed by the daemon"} {
			all = append(all, errand{
				name: "the " + string(store) + " store, " + way, engine: e,
				source: func(_ *testing.T, n int) ([]string, []byte) { return []string{"--via", via, numbered(n)}, nil },
			})
		}
	}
	return all
}

// pusherMachine is where docker-gitea runs.
type pusherMachine struct {
	plugin    string
	env       []string
	temporary string
}

// newPusherMachine has a credential for target k behind a proxy at host.
func newPusherMachine(t *testing.T, plugin string, k *target, host string, e *servers.Engine) pusherMachine {
	t.Helper()
	m := pusherMachine{plugin: plugin, temporary: t.TempDir()}
	env, err := (&servers.Server{Host: host}).Env(t.TempDir(), k.auth.Username, k.auth.Password)
	servers.Need(t, err)
	m.env = append(env, "TMPDIR="+m.temporary)
	if e != nil {
		m.env = append(m.env, "DOCKER_HOST="+e.Host())
	}
	return m
}

// ended is how the program ended.
type ended struct {
	code           int // -1 when it was killed
	stdout, stderr string
}

var pushedDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

func (o ended) digest() digest.Digest { return digest.Digest(pushedDigest.FindString(o.stdout)) }

// push runs the program; started, unless nil, is told of its process.
func (m pusherMachine) push(t *testing.T, e errand, n int, to string, started func(*os.Process)) ended {
	t.Helper()
	args, stdin := e.source(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), endless)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.plugin, append([]string{"gitea", "push", "--plain-http", "--progress", "quiet"}, append(args, to)...)...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = m.env, io.Reader(bytes.NewReader(stdin)), &stdout, &stderr
	servers.Need(t, cmd.Start())
	if started != nil {
		started(cmd.Process)
	}
	_ = cmd.Wait() // the code tells
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// strikes are the pushes of one errand to one registry that something strikes.
type strikes struct {
	errand  errand
	target  *target
	cutter  *interfere.Cutter
	machine pusherMachine
	ledger  *ledger
	entry   entry
	hit     func(kind interfere.Fault, client *os.Process)
	healed  func() // what hit broke

	images int
}

// run strikes n pushes with each of kinds, at positions spread over a push.
func (s *strikes) run(t *testing.T, n int, kinds ...interfere.Fault) {
	t.Helper()
	first := s.machine.push(t, s.errand, s.images, s.to(s.images), nil)
	if first.code != 0 {
		t.Fatalf("a push without a fault: %+v", first)
	}
	s.cutter.Disarm()
	s.images++
	if again := s.machine.push(t, s.errand, s.images, s.to(s.images), nil); again.code != 0 {
		t.Fatalf("a push without a fault: %+v", again)
	}
	total, _ := s.cutter.Count()
	s.images++
	for i := range n * len(kinds) {
		s.strike(t, kinds[i%len(kinds)], total*int64(i)/int64(n*len(kinds)))
	}
	s.entry.damaged = s.target.damaged
	s.ledger.add(s.entry)
}

func (s *strikes) to(n int) string {
	return s.cutter.Address() + "/" + s.target.repository + ":" + tagOf(n)
}

func (s *strikes) strike(t *testing.T, kind interfere.Fault, at int64) {
	t.Helper()
	n := s.images
	s.images++
	before := s.target.sessions(t)
	process, struck := make(chan *os.Process, 1), make(chan struct{})
	s.cutter.Strike = func() {
		defer close(struck)
		s.hit(kind, <-process)
	}
	s.cutter.Arm(at, kind)
	end := s.machine.push(t, s.errand, n, s.to(n), func(p *os.Process) { process <- p })
	if _, met := s.cutter.Count(); met {
		<-struck
	}
	s.cutter.Disarm()
	if s.healed != nil {
		s.healed()
	}
	left := s.target.sessions(t) - before
	if kind == faultInterrupt {
		left = s.target.settled(t, before) - before
	}
	s.judge(t, kind, at, end, left)
	held := s.target.held(t, tagOf(n))
	again := s.machine.push(t, s.errand, n, s.to(n), nil)
	s.ledger.left(&s.entry, kind, left, s.target.sessions(t)-before)
	if again.code != 0 {
		t.Errorf("%s at %d: the next push: %+v", kind, at, again)
		return
	}
	if held != "" && held != again.digest() {
		s.target.damaged++
		t.Errorf("%s at %d: the tag leads to %q, want %s or nothing", kind, at, held, again.digest())
	}
	if now := s.target.held(t, tagOf(n)); now != again.digest() {
		s.target.damaged++
		t.Errorf("%s at %d, and again: the tag leads to %q, want %s", kind, at, now, again.digest())
	}
	s.nothingLeft(t, kind, at)
}

// judge looks at how the program ended.
func (s *strikes) judge(t *testing.T, kind interfere.Fault, at int64, o ended, left int) {
	t.Helper()
	explained := strings.Contains(o.stderr, "cause: ") && strings.Contains(o.stderr, "hint: ")
	switch {
	case o.code == 0:
		s.ledger.met(&s.entry, kind, survived)
	case kind == faultKill && o.code == -1, kind == faultInterrupt && o.code == 130, explained:
		s.ledger.met(&s.entry, kind, named)
	default:
		t.Errorf("%s at %d: got %+v", kind, at, o)
	}
	if kind == faultInterrupt && left > 0 && !s.target.stubborn {
		t.Errorf("%s at %d: %d upload sessions are left", kind, at, left)
	}
}

// nothingLeft looks for temporary files, and for names in the daemon.
func (s *strikes) nothingLeft(t *testing.T, kind interfere.Fault, at int64) {
	t.Helper()
	files, err := os.ReadDir(s.machine.temporary)
	servers.Need(t, err)
	s.entry.files += len(files)
	if len(files) > 0 {
		t.Errorf("%s at %d: %v are left in the temporary directory", kind, at, files)
	}
	if s.errand.engine == nil {
		return
	}
	names, err := s.errand.engine.Run(t.Context(), "images", "--format", "{{.Repository}}", "127.0.0.1:*/*")
	servers.Need(t, err)
	if names != "" {
		t.Errorf("%s at %d: the daemon still has %s", kind, at, names)
	}
}

// strikeClients kills and interrupts the program.
func strikeClients(t *testing.T, l *ledger, plugin string, engines map[servers.Store]*servers.Engine) {
	t.Helper()
	if *positions < 50 {
		t.Skip("takes long: make test-faults runs it")
	}
	n := *positions / 20
	for _, e := range errands(t, 2*n+2, engines) {
		for _, start := range targets {
			t.Run(e.name, func(t *testing.T) {
				if e.engine == nil {
					t.Parallel() // the names in an engine are those of one push
				}
				k := start(t)
				c := interfere.StartCutter(t, k.Host)
				s := strikes{
					errand: e, target: k, cutter: c, machine: newPusherMachine(t, plugin, k, c.Address(), e.engine), ledger: l,
					entry: entry{situation: "the program is killed or interrupted: " + e.name, registry: k.name},
					hit: func(kind interfere.Fault, client *os.Process) {
						signal := syscall.SIGKILL
						if kind == faultInterrupt {
							signal = syscall.SIGINT
						}
						_ = client.Signal(signal) // it may have ended
					},
				}
				s.run(t, n, faultKill, faultInterrupt)
			})
		}
	}
}

// strikeGitea kills the server.
func strikeGitea(t *testing.T, l *ledger, plugin string, engines map[servers.Store]*servers.Engine) {
	t.Helper()
	if *positions < 50 {
		t.Skip("takes long: make test-faults runs it")
	}
	n := *positions / 20
	for _, e := range errands(t, 2*n+2, engines) {
		if e.engine != nil && !strings.HasSuffix(e.name, "pushed by the daemon") {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			if e.engine == nil {
				t.Parallel()
			}
			g := startPlainGitea(t)
			k := giteaTarget(t, g)
			c := interfere.StartCutter(t, k.Host)
			s := strikes{
				errand: e, target: k, cutter: c, machine: newPusherMachine(t, plugin, k, c.Address(), e.engine), ledger: l,
				entry: entry{situation: "Gitea is killed: " + e.name, registry: k.name},
			}
			gone := false
			back := func() { servers.Need(t, g.Restart(t.Context())) }
			s.hit = func(kind interfere.Fault, _ *os.Process) {
				g.Kill()
				if gone = kind == faultGone; !gone {
					back()
				}
			}
			s.healed = func() {
				if gone {
					back()
				}
			}
			s.machine.env = append(s.machine.env, "DOCKER_GITEA_RETRIES=3")
			s.run(t, n, faultRestart, faultGone)
		})
	}
}
