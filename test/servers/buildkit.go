package servers

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
)

// BuildKitOptions changes how a BuildKit is started.
type BuildKitOptions struct {
	// Etc is a folder that it sees in place of /etc.
	Etc string
}

// BuildKit is a running BuildKit that is no part of an engine. It runs what a
// Dockerfile runs in the network of this machine. BuildKit is for tests that
// are [Wide].
type BuildKit struct {
	dir     string
	process *process
}

// StartBuildKit starts buildkitd, and the runc of Debian's docker.io beneath
// it. It needs root.
func StartBuildKit(ctx context.Context, opts BuildKitOptions) (*BuildKit, error) {
	program, err := Program("buildkitd")
	if err != nil {
		return nil, err
	}
	dir, err := socketFolder("buildkit")
	if err != nil {
		return nil, err
	}
	b := &BuildKit{dir: dir}
	c := command{
		path: program,
		args: []string{
			"--addr", b.Address(), "--root", filepath.Join(dir, "data"),
			"--containerd-worker=false", "--oci-worker-binary=runc", "--oci-worker-net=host",
		},
		env: []string{"PATH=" + systemPath(), "HOME=" + dir}, dir: dir, mounts: true,
	}
	if opts.Etc != "" {
		c.args = append([]string{"-c", `mount --bind "$0" /etc && exec "$@"`, opts.Etc, c.path}, c.args...)
		c.path = "/bin/sh"
	}
	if b.process, err = c.start(); err == nil {
		err = b.process.await(ctx, b.answers)
	}
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	return b, nil
}

// Address is what buildx calls the endpoint of its driver "remote".
func (b *BuildKit) Address() string { return "unix://" + b.socket() }

func (b *BuildKit) socket() string { return filepath.Join(b.dir, "socket") }

func (b *BuildKit) answers(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", b.socket())
	if err != nil {
		return err
	}
	return conn.Close()
}

// Log returns what it has printed so far.
func (b *BuildKit) Log() string { return b.process.command.log() }

// Stop ends it and removes its data. A second call does nothing.
func (b *BuildKit) Stop() error { return errors.Join(b.process.stop(), os.RemoveAll(b.dir)) }
