package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// runGitea pushes an image of a Docker engine to a Gitea.
func (d *demo) runGitea(ctx context.Context) (err error) {
	gitea, err := servers.StartGitea(ctx, servers.GiteaOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gitea.Stop()) }()
	if err := gitea.CreateUser(ctx, "alice", servers.AdminPassword); err != nil {
		return err
	}
	token, err := gitea.CreateToken(ctx, "alice", "write:package")
	if err != nil {
		return err
	}
	t := target{gitea.Host, gitea.CAFile, "alice", token, "alice/hello:1"}
	d.step("started Gitea at https://%s, certificate self-signed; made a user and a token for packages", t.host)

	engine, err := servers.StartEngine(ctx, servers.Containerd, servers.EngineOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Stop()) }()
	if err := engine.InstallPlugin(filepath.Join(d.dir, "docker-gitea")); err != nil {
		return err
	}
	d.step("started a Docker engine with nothing configured; docker gitea is its CLI's plugin")

	if err := d.buildImage(ctx, engine); err != nil {
		return err
	}
	push := engine.Command(ctx, "gitea", "push", "--quiet", "--ca-file", t.caFile,
		"--username", t.user, "--password-stdin", "hello:1", t.host+"/"+t.imageTag)
	push.Stdin = strings.NewReader(t.password)
	if err := d.push(push); err != nil {
		return err
	}
	if err := d.readBack(ctx, t); err != nil {
		return err
	}
	return d.validate(ctx, gitea, t)
}

// buildImage builds a small image in the engine.
func (d *demo) buildImage(ctx context.Context, engine *servers.Engine) error {
	dir := filepath.Join(d.dir, "context")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files := map[string]string{"Dockerfile": "FROM scratch\nCOPY hello.txt /\n", "hello.txt": strings.Repeat("hello, Gitea\n", 50_000)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := engine.Build(ctx, "hello:1", dir); err != nil {
		return err
	}
	d.step("$ docker build -t hello:1 .")
	return nil
}

// validate lets crane read the image too.
func (d *demo) validate(ctx context.Context, gitea *servers.Gitea, t target) error {
	crane, err := servers.Program("crane")
	if err != nil {
		return err
	}
	env, err := gitea.Env(d.dir, t.user, t.password)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, crane, "validate", "--remote", t.host+"/"+t.imageTag)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("crane validate: %w\n%s", err, out)
	}
	d.step("crane validate --remote: %s", strings.TrimSpace(string(out)))
	return nil
}
