//go:build e2e

package faults

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	client "github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/test/interfere"
	"github.com/docker-gitea/docker-gitea/test/samples"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// faultExpired has the registry that is copied from forget its tokens.
const faultExpired interfere.Fault = "the token of the source expires"

// copyRetries is how often a copy tries again: those that must fail wait for it.
const copyRetries = 2

// crossing is copies from one registry to another, by the real program. Each
// meets a fault on one side.
type crossing struct {
	from, to *target
	// source and destination are where the program finds the two, one of them
	// through the meddler; a storage that the source leads to may be behind that instead.
	source, destination string
	meddler             meddler
	machine             pusherMachine
	ledger              *ledger
	entry               *entry

	images int // how many were used
}

// copyAcross has copies meet faults on the way from their source, before the storage
// that it leads to, and on the way to their destination.
func copyAcross(t *testing.T, l *ledger, plugin string) {
	t.Helper()
	for _, way := range []struct {
		from, to func(*testing.T) *target
		upload   bool
	}{
		{startGiteaTarget, startRegistryTarget, false},
		{startRegistryTarget, startGiteaTarget, false},
		{startGiteaTarget, startRegistryTarget, true},
		{startRegistryTarget, startGiteaTarget, true},
	} {
		t.Run("copies", func(t *testing.T) {
			t.Parallel()
			from, to := way.from(t), way.to(t)
			side := map[bool]string{false: "download", true: "upload"}[way.upload]
			x := crossing{from: from, to: to, ledger: l, entry: &entry{situation: fmt.Sprintf("an image of %s, faults on its %s", from.name, side), registry: to.name}}
			near := map[bool]*target{false: from, true: to}[way.upload]
			for _, m := range []meddler{interfere.StartCutter(t, near.Host), interfere.StartGateway(t, near.Host, near.challenge)} {
				x.source, x.destination = from.Host, to.Host
				if way.upload {
					x.destination = m.Address()
				} else {
					x.source = m.Address()
				}
				x.sweep(t, plugin, m)
			}
			x.add(t)
		})
	}
	t.Run("copies from a storage", func(t *testing.T) {
		t.Parallel()
		from, storage := startDirectTarget(t)
		to := startRegistryTarget(t)
		x := crossing{from: from, to: to, source: from.Host, destination: to.Host, ledger: l, entry: &entry{situation: "an image of Gitea, faults before the storage that it leads to", registry: to.name}}
		x.sweep(t, plugin, storage)
		x.add(t)
	})
	t.Run("copies with a token that expires", func(t *testing.T) {
		t.Parallel()
		from, forget := startForgetfulTarget(t)
		to := startGiteaTarget(t)
		x := crossing{from: from, to: to, destination: to.Host, ledger: l, entry: &entry{situation: "an image of a registry whose token expires", registry: to.name}}
		x.expire(t, plugin, forget)
		x.add(t)
	})
}

// startDirectTarget is a Gitea that leads downloads to its storage, and a cutter before
// that.
func startDirectTarget(t *testing.T) (*target, *interfere.Cutter) {
	t.Helper()
	g := startPlain(t, servers.GiteaOptions{Storage: servers.S3DirectPlain})
	config := filepath.Join(g.Dir, "app.ini")
	settings, err := os.ReadFile(config)
	servers.Need(t, err)
	endpoint := regexp.MustCompile(`(MINIO_ENDPOINT\s*=\s*)(\S+)`)
	found := endpoint.FindSubmatch(settings)
	if found == nil {
		t.Fatal("the configuration names no storage")
	}
	c := interfere.StartCutter(t, string(found[2]))
	g.Kill()
	samples.WriteFile(t, config, endpoint.ReplaceAll(settings, []byte("${1}"+c.Address())))
	servers.Need(t, g.Restart(t.Context()))
	return giteaTarget(t, g), c
}

// startForgetfulTarget is a registry in memory, and what has it forget its tokens.
func startForgetfulTarget(t *testing.T) (k *target, forget func()) {
	t.Helper()
	r := registrytest.StartPlain(t, registrytest.Config{})
	return &target{
		Server: &servers.Server{Host: r.Host, URL: r.URL}, name: "a registry in memory",
		auth: client.AuthConfig{Username: registrytest.Username, Password: registrytest.Password}, repository: registrytest.Username + "/app",
	}, r.Registry.RevokeTokens
}

// sweep makes copies that meet faults of m, at positions spread over a whole one.
func (x *crossing) sweep(t *testing.T, plugin string, m meddler) {
	t.Helper()
	x.begin(t, plugin, m)
	spread(t, m, max(*positions/4, 1), x.length(t), func(at int64, kind interfere.Fault) bool { return x.meet(t, at, kind, kind) })
}

// expire has the tokens of the source forgotten with each request to it.
func (x *crossing) expire(t *testing.T, plugin string, forget func()) {
	t.Helper()
	g := interfere.StartGateway(t, x.from.Host, "")
	x.source = g.Address()
	x.begin(t, plugin, g)
	g.Strike = forget
	for at := range x.length(t) {
		x.meet(t, at, interfere.CancelRequest, faultExpired)
	}
}

// begin makes a machine for the program, on which the two have a login each.
func (x *crossing) begin(t *testing.T, plugin string, m meddler) {
	t.Helper()
	x.meddler, x.machine = m, pusherMachine{plugin: plugin, temporary: t.TempDir()}
	auths, items := map[string]any{}, []any{}
	for address, k := range map[string]*target{x.source: x.from, x.destination: x.to} {
		auths[address] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(k.auth.Username + ":" + k.auth.Password))}
		items = append(items, map[string]any{"spec": map[string]string{"url": "http://" + address}})
	}
	config := t.TempDir()
	samples.WriteFile(t, filepath.Join(config, "config.json"), samples.Encoded(t, map[string]any{"auths": auths}))
	samples.WriteFile(t, filepath.Join(config, "gitea.yaml"), samples.Encoded(t, map[string]any{"apiVersion": "docker-gitea.github.io/v1alpha1", "kind": "RegistryList", "items": items}))
	x.machine.env = []string{"HOME=" + config, "DOCKER_CONFIG=" + config, "TMPDIR=" + x.machine.temporary, fmt.Sprint("DOCKER_GITEA_RETRIES=", copyRetries)}
}

// give puts the next image into the source.
func (x *crossing) give(t *testing.T) (n int, want digest.Digest) {
	t.Helper()
	n = x.images
	x.images++
	c := x.from.client(t, x.from.Host, &remote.Options{})
	defer c.close()
	source, err := image.Open(samples.Layout(t, byte(n), smallLayer+n), nil)
	servers.Need(t, err)
	var result client.Result
	servers.Need(t, c.Push(t.Context(), x.from.repository+":"+tagOf(n), client.PushOptions{Source: source, Result: &result}))
	servers.Need(t, source.Close())
	return n, result.Digest
}

// length is how many positions a copy without a fault has.
func (x *crossing) length(t *testing.T) (total int64) {
	t.Helper()
	for range 2 { // what all images have in common is there after the first
		n, _ := x.give(t)
		x.meddler.Disarm()
		if end := x.copy(t, n, "", nil); end.code != 0 {
			t.Fatalf("a copy without a fault: %+v", end)
		}
		total, _ = x.meddler.Count()
	}
	return total
}

// copy runs the program. started, unless nil, is told of its process.
func (x *crossing) copy(t *testing.T, n int, kind interfere.Fault, started func(*os.Process)) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), endless)
	defer cancel()
	args := []string{"gitea", "copy", "--progress", "quiet", x.source + "/" + x.from.repository + ":" + tagOf(n), x.destination + "/" + x.to.repository + ":" + tagOf(n)}
	cmd := exec.CommandContext(ctx, x.machine.plugin, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = x.machine.env, &stdout, &stderr
	if kind == interfere.Stall {
		cmd.Env = append(slices.Clip(cmd.Env), "DOCKER_GITEA_STALL_TIMEOUT="+stallTimeout.String())
	}
	servers.Need(t, cmd.Start())
	if started != nil {
		started(cmd.Process)
	}
	_ = cmd.Wait() // the code tells
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// meet makes one copy with a fault, and checks what came of it. It is false when there
// was no fault.
func (x *crossing) meet(t *testing.T, at int64, kind, called interfere.Fault) bool {
	t.Helper()
	n, want := x.give(t)
	before := x.to.sessions(t)
	process := make(chan *os.Process, 1)
	if c, ok := x.meddler.(*interfere.Cutter); ok {
		c.Strike = func() { _ = (<-process).Signal(syscall.SIGINT) } // it may have ended
	}
	x.meddler.Arm(at, kind)
	end := x.copy(t, n, kind, func(p *os.Process) { process <- p })
	_, met := x.meddler.Count()
	x.meddler.Disarm()
	if !met {
		return false
	}
	left := x.to.sessions(t) - before
	if kind == interfere.Cancel && left > 0 {
		if left = x.to.settled(t, before) - before; left > 0 && !x.to.stubborn {
			t.Errorf("%s at %d: %d upload sessions are left", kind, at, left)
		}
	}
	x.judge(t, at, kind, called, end)
	x.compare(t, at, kind, n, end.code == 0, want)
	if again := x.copy(t, n, "", nil); again.code != 0 {
		t.Errorf("%s at %d: the next copy: %+v", kind, at, again)
	}
	x.compare(t, at, kind, n, true, want)
	x.ledger.left(x.entry, called, left, x.to.sessions(t)-before)
	files, err := os.ReadDir(x.machine.temporary)
	servers.Need(t, err)
	if x.entry.files += len(files); len(files) > 0 {
		t.Errorf("%s at %d: %v are left in the temporary directory", kind, at, files)
	}
	return true
}

// copyCodes are the exit codes of a copy that a fault ended: of all that are not here
// it may succeed later. An answer that closes in the middle of a blob is taken for its
// bytes: these are then not those of the digest.
var copyCodes = map[interfere.Fault][]int{
	interfere.Cancel:    {fault.ExitInterrupted},
	interfere.Status401: {fault.ExitDenied}, interfere.Status401Late: {fault.ExitDenied},
	interfere.Status404: {fault.ExitFailed}, interfere.Status413: {fault.ExitFailed},
	interfere.AnswerAndClose: {fault.ExitTemporary, fault.ExitFailed},
}

// judge looks at how the program ended: well, or with the exit code of the fault and a
// message that says at which registry it was, why, and what to do.
func (x *crossing) judge(t *testing.T, at int64, kind, called interfere.Fault, end ended) {
	t.Helper()
	want, known := copyCodes[kind]
	if !known {
		want = []int{fault.ExitTemporary}
	}
	side := x.source
	if x.destination == x.meddler.Address() {
		side = x.destination
	}
	explained := strings.Contains(end.stderr, side) && strings.Contains(end.stderr, "cause: ") && strings.Contains(end.stderr, "hint: ")
	switch {
	case end.code == 0:
		x.ledger.met(x.entry, called, survived)
	case slices.Contains(want, end.code) && (explained || kind == interfere.Cancel):
		x.ledger.met(x.entry, called, named)
		t.Logf("%s at %d: %s", kind, at, end.stderr)
	default:
		t.Errorf("%s at %d: got %+v, want an exit code of %d", kind, at, end, want)
	}
}

// compare reads what the tag leads to: the image, or nothing unless it must be there.
func (x *crossing) compare(t *testing.T, at int64, kind interfere.Fault, n int, must bool, want digest.Digest) {
	t.Helper()
	if held := x.to.held(t, tagOf(n)); held != want && (must || held != "") {
		x.to.damaged++
		t.Errorf("%s at %d: the tag leads to %q, want %s", kind, at, held, want)
	}
}

// add adds the copies to the table.
func (x *crossing) add(t *testing.T) {
	t.Helper()
	x.entry.damaged = x.to.damaged
	x.ledger.add(*x.entry)
}
