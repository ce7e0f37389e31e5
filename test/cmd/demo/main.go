// Command demo shows a push from end to end. It builds both programs, starts a
// registry with a certificate that nobody trusts, and pushes an image to it. It reads
// the image back with a client that shares no code with the one that pushed, and prints
// the digests.
//
// The registry is registrytest, so Go is all it needs. With -gitea (or
// GITEA=1) it is a real Gitea, and the image is built by a real Docker engine
// and pushed with `docker gitea push`; see test/README.md for what that needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

func main() {
	gitea := flag.Bool("gitea", os.Getenv("GITEA") != "", "push from a real Docker engine to a real Gitea")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	d := &demo{out: os.Stdout, begin: time.Now()}
	err := d.run(ctx, *gitea)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo prints one line for each step.
type demo struct {
	out   io.Writer
	begin time.Time
	dir   string
}

// target is the registry that is pushed to.
type target struct {
	host, caFile             string
	user, password, imageTag string
}

func (d *demo) run(ctx context.Context, gitea bool) (err error) {
	if d.dir, err = os.MkdirTemp("", "docker-gitea-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if err := d.build(ctx); err != nil {
		return err
	}
	if gitea {
		return d.runGitea(ctx)
	}
	return d.runScripted(ctx)
}

// step prints what was done, after it was.
func (d *demo) step(format string, args ...any) {
	fmt.Fprintf(d.out, "%5.1fs  %s\n", time.Since(d.begin).Seconds(), fmt.Sprintf(format, args...))
}

// build builds the programs that the demonstration runs.
func (d *demo) build(ctx context.Context) error {
	const module = "github.com/docker-gitea/docker-gitea/cmd/"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", d.dir+string(filepath.Separator),
		module+"docker-gitea", module+"docker-credential-gitea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	for _, name := range []string{"docker-gitea", "docker-credential-gitea"} {
		out, err := exec.CommandContext(ctx, filepath.Join(d.dir, name), "version").Output()
		if err != nil {
			return fmt.Errorf("run %s version: %w", name, err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		d.step("built %s (%s)", name, first)
	}
	return nil
}

// runScripted pushes an archive to a registrytest.
func (d *demo) runScripted(ctx context.Context) error {
	server, err := registrytest.Listen(d.dir, registrytest.Config{}) //nolint:contextcheck // the server is closed below
	if err != nil {
		return err
	}
	defer server.Close()
	t := target{server.Host, server.CAFile, registrytest.Username, registrytest.Token, registrytest.Username + "/hello:1"}
	d.step("started a registry that answers as Gitea does at https://%s, certificate self-signed", t.host)

	archive := filepath.Join(d.dir, "hello.tar")
	if err := writeArchive(archive); err != nil {
		return err
	}
	d.step("wrote the image hello.tar, as docker save would")

	push := exec.CommandContext(ctx, filepath.Join(d.dir, "docker-gitea"), "push", "--quiet",
		"--ca-file", t.caFile, "--username", t.user, "--password-stdin", archive, t.host+"/"+t.imageTag)
	push.Stdin = strings.NewReader(t.password)
	push.Env = append(os.Environ(), "DOCKER_CONFIG="+d.dir, "XDG_CACHE_HOME="+d.dir)
	if err := d.push(push); err != nil {
		return err
	}
	d.step("the registry received %d bytes in %d requests", server.Stats().BodyBytes, server.Stats().Requests)
	return d.readBack(ctx, t)
}

// push runs a push and shows the command.
func (d *demo) push(cmd *exec.Cmd) error {
	var out, diagnostics strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	shown := append([]string{filepath.Base(cmd.Args[0])}, cmd.Args[1:]...)
	line := strings.ReplaceAll(strings.Join(shown, " "), d.dir+string(filepath.Separator), "")
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s%s", line, err, &out, &diagnostics)
	}
	d.step("$ %s", line)
	d.step("  %s", strings.TrimSpace(out.String()))
	return nil
}

// readBack reads what was pushed and prints the digests.
func (d *demo) readBack(ctx context.Context, t target) error {
	r, err := newReader(t)
	if err != nil {
		return err
	}
	items, err := r.image(ctx)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	d.step("read back %s/%s: every digest is that of the bytes received", t.host, t.imageTag)
	for _, item := range items {
		d.step("  %-8s %s  %d bytes", item.kind, item.digest, item.size)
	}
	return nil
}
