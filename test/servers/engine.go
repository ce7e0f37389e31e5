package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Store is where an engine keeps its images.
type Store string

// The image stores differ in what an export holds and in how fast it is.
const (
	// Classic is the store of graph drivers, in the engine that Debian packages (20.10).
	Classic Store = "classic"
	// Graph is the same store in a current engine, whose exports are archives
	// and OCI layouts at once.
	Graph Store = "graph"
	// Containerd is the store of Engine 29 and later, with containerd beneath it.
	Containerd Store = "containerd"
)

// EngineOptions changes how an engine is started.
type EngineOptions struct {
	// Args are further arguments for dockerd.
	Args []string
	// HostsFile is what the engine sees in place of /etc/hosts.
	HostsFile string
	// Etc is a folder that the engine sees in place of /etc.
	Etc string
	// OwnNetwork gives the engine another loopback than that of its clients, as
	// a virtual machine has, and nothing else.
	OwnNetwork bool
	// Rootless runs the engine as a user who is nobody, in name spaces of that
	// user, as dockerd-rootless.sh does.
	Rootless bool
	// Env is added to the engine's environment.
	Env []string
}

// Engine is a running Docker engine without networks, with a data folder and
// a socket of its own. It can build, load, save, tag, push and pull, but has
// nothing to run containers with.
type Engine struct {
	// Config is the folder that DOCKER_CONFIG names in commands.
	Config string

	dir     string
	cli     string
	command command
	process *process
}

// StartEngine starts an engine with the given store. It needs root.
func StartEngine(ctx context.Context, store Store, opts EngineOptions) (*Engine, error) {
	cli, err := Program("docker")
	if err != nil {
		return nil, err
	}
	daemon, path, err := engine(store)
	if err != nil {
		return nil, err
	}
	// The path of a unix socket has 108 bytes at most, and containerd's
	// lies three levels further down: so not in TMPDIR, which may be long.
	dir, err := os.MkdirTemp("/tmp", "engine-")
	if err != nil {
		return nil, fmt.Errorf("make folder for engine: %w", err)
	}
	e := &Engine{dir: dir, cli: cli, Config: filepath.Join(dir, "config")}
	args := opts.Args
	if store == Graph {
		args = append(args, "--feature", "containerd-snapshotter=false", "--storage-driver", "overlay2")
	}
	e.command = command{
		path: daemon,
		args: append([]string{
			"--host", e.Host(),
			"--data-root", filepath.Join(dir, "data"),
			"--exec-root", filepath.Join(dir, "exec"),
			"--pidfile", filepath.Join(dir, "pid"),
			"--config-file", filepath.Join(dir, "daemon.json"),
			"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
		}, args...),
		env: append([]string{"PATH=" + path, "HOME=" + dir}, opts.Env...),
		dir: dir, mounts: true,
	}
	for target, source := range map[string]string{"/etc/hosts": opts.HostsFile, "/etc": opts.Etc} {
		if source != "" {
			e.command.args = slices.Concat([]string{"-c", `mount --bind "$0" ` + target + ` && exec "$@"`, source, e.command.path}, e.command.args)
			e.command.path = "/bin/sh"
		}
	}
	if opts.Rootless {
		e.command.args = slices.Concat([]string{"-ec", rootless, dir, path, e.command.path, "--rootless"}, e.command.args)
		e.command.path = "/bin/sh"
	}
	if opts.OwnNetwork {
		e.command.args = slices.Concat([]string{"-c", `ip link set lo up && exec "$0" "$@"`, e.command.path}, e.command.args)
		e.command.path, e.command.network = "/bin/sh", true
	}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// rootless starts the engine $2… for a user, with the PATH $1. The user has
// further IDs and a folder $0 of his own, sees the programs there, wherever they
// are, and may make a network. What is in /run is root's.
const rootless = `
path=$1
shift
mkdir "$0/etc" "$0/run"
cp -a /etc/. "$0/etc/"
echo nobody:100000:65536 | tee "$0/etc/subuid" >"$0/etc/subgid"
mount --bind "$0/etc" /etc
mknod -m 666 "$0/tun" c 10 200
mount --bind "$0/tun" /dev/net/tun
chown -R 65534:65534 "$0"
mkdir "$0/bin"
for program in "$1" "$(PATH=$path command -v containerd)"; do
	: >"$0/bin/${program##*/}"
	mount --bind "$program" "$0/bin/${program##*/}"
done
program=$0/bin/${1##*/}
shift
exec setpriv --reuid 65534 --regid 65534 --clear-groups --pdeathsig KILL \
	env -i HOME="$0" XDG_RUNTIME_DIR="$0/run" PATH="$0/bin:$path" \
	rootlesskit --state-dir="$0/run/state" --net=slirp4netns --mtu=65520 --disable-host-loopback \
	--copy-up=/etc --copy-up=/run \
	sh -ec 'rm -f /run/docker /run/containerd; exec "$0" "$@"' "$program" "$@"
`

// engine returns the program and the PATH it finds its containerd by.
func engine(store Store) (daemon, path string, err error) {
	path = systemPath()
	if store == Classic {
		daemon, err = Program("debian-dockerd")
		return daemon, path, err
	}
	containerd, err := Program("containerd")
	if err != nil {
		return "", "", err
	}
	daemon, err = Program("dockerd")
	return daemon, filepath.Dir(containerd) + string(filepath.ListSeparator) + path, err
}

func (e *Engine) start(ctx context.Context) error {
	if err := os.Mkdir(e.Config, 0o700); err != nil {
		return fmt.Errorf("make docker config folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(e.dir, "daemon.json"), []byte("{}\n"), 0o600); err != nil {
		return fmt.Errorf("write engine config: %w", err)
	}
	p, err := e.command.start()
	if err != nil {
		return err
	}
	e.process = p
	return p.await(ctx, func(ctx context.Context) error {
		_, err := e.Run(ctx, "version")
		return err
	})
}

// Host returns the address for DOCKER_HOST.
func (e *Engine) Host() string { return "unix://" + filepath.Join(e.dir, "docker.sock") }

// Containerd returns the socket of the containerd beneath the engine.
func (e *Engine) Containerd() string {
	return filepath.Join(e.dir, "exec/containerd/containerd.sock")
}

// Log returns what the engine has printed so far.
func (e *Engine) Log() string { return e.command.log() }

// Stop ends the engine and removes its data. A second call does nothing.
func (e *Engine) Stop() error {
	return errors.Join(e.process.stop(), os.RemoveAll(e.dir))
}

// Env returns the environment for a docker command that talks to this engine
// and knows no configuration but Config.
func (e *Engine) Env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + e.Config,
		"DOCKER_CONFIG=" + e.Config,
		"DOCKER_HOST=" + e.Host(),
	}
}

// Command returns the docker command with these arguments, not yet started.
func (e *Engine) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.cli, args...)
	cmd.Env = e.Env()
	return cmd
}

// Run runs a docker command and returns what it prints, without the final line end.
func (e *Engine) Run(ctx context.Context, args ...string) (string, error) {
	return output(e.Command(ctx, args...))
}

// Build builds the folder with the classic builder, which needs no plugin, and tags the image.
func (e *Engine) Build(ctx context.Context, tag, dir string) error {
	cmd := e.Command(ctx, "build", "--quiet", "--tag", tag, dir)
	cmd.Env = append(cmd.Env, "DOCKER_BUILDKIT=0")
	_, err := output(cmd)
	return err
}

// Load loads an archive of images.
func (e *Engine) Load(ctx context.Context, file string) error {
	_, err := e.Run(ctx, "load", "--quiet", "--input", file)
	return err
}

// InstallPlugin makes the program a plugin of the docker command,
// under the program's own name, such as docker-gitea.
func (e *Engine) InstallPlugin(program string) error {
	dir := filepath.Join(e.Config, "cli-plugins")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make plugin folder: %w", err)
	}
	if err := os.Symlink(program, filepath.Join(dir, filepath.Base(program))); err != nil {
		return fmt.Errorf("install plugin: %w", err)
	}
	return nil
}

// output runs cmd; what it prints to standard error becomes part of the error.
func output(cmd *exec.Cmd) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		args := cmd.Args[1:min(3, len(cmd.Args))]
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
