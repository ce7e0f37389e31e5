package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// packages are the Debian packages that tests use, each with a program that
// shows whether it is installed. Add to it what a test needs.
var packages = []debianPackage{
	{"docker.io", "debian-dockerd"}, // Engine 20.10, with the classic image store
	{"docker-registry", "docker-registry"},
	{"nginx", "nginx"},
	{"haproxy", "haproxy"},
	{"postgresql", "initdb"},
	{"skopeo", "skopeo"},
	// The credential helper's stores, and terminals for its prompts.
	{"gnome-keyring", "gnome-keyring-daemon"},
	{"dbus-x11", "dbus-launch"},
	{"pass", "pass"},
	{"gnupg", "gpg"},
	{"expect", "expect"},
	{"chromium", "chromium"},
	{"chromium-driver", "chromedriver"},
	{"tmux", "tmux"},
	{"sqlite3", "sqlite3"}, // to look into Gitea's database
	{"jq", "jq"},           // in the documentation
	{"curl", "curl"},
	{"iproute2", "ip"}, // for engines in a network of their own
	{"rpm", "rpm"},
	// Shells whose completion is tried.
	{"bash-completion", "dh_bash-completion"},
	{"zsh", "zsh"},
	{"fish", "fish"},
}

// widePackages are those that are installed only when asked for, see [Wide].
var widePackages = []debianPackage{
	{"mariadb-server", "mariadbd"},
	{"podman", "podman"},
	// A docker daemon of a user, and one that is reached by ssh.
	{"rootlesskit", "rootlesskit"},
	{"slirp4netns", "slirp4netns"},
	{"uidmap", "newuidmap"},
	{"openssh-server", "sshd"},
	// Windows, and other processors.
	{"wine64", "wine64"},
	{"gcc-mingw-w64-x86-64-win32", "x86_64-w64-mingw32-gcc"},
	{"qemu-user", "qemu-s390x"},
}

type debianPackage struct{ name, program string }

// systemPath returns PATH with the folders of programs for root, and with
// those of wine and PostgreSQL, which Debian leaves out of every PATH.
func systemPath() string {
	dirs := []string{os.Getenv("PATH"), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/wine"}
	versions, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // fails for a bad pattern alone
	return strings.Join(append(dirs, versions...), string(filepath.ListSeparator))
}

// systemProgram finds a program that the system provides.
func systemProgram(name string) (string, error) {
	path := systemPath()
	if file, ok := strings.CutPrefix(name, "debian-"); ok {
		// A machine may have a newer Docker, from elsewhere, first in its PATH.
		name, path = file, "/usr/sbin:/usr/bin"
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	install := installCommand
	if slices.ContainsFunc(widePackages, func(p debianPackage) bool { return p.program == name }) {
		install += " " + Wide
	}
	return "", &MissingError{Program: name, Install: install}
}

// InstallPackages installs the Debian packages that are missing, or the
// missing ones of those that are [Wide], and tells w. It needs root, or sudo
// without a password.
func InstallPackages(ctx context.Context, w io.Writer, breadth bool) (err error) {
	wanted := packages
	if breadth {
		wanted = widePackages
	}
	var missing []string
	for _, p := range wanted {
		if _, err := systemProgram(p.program); err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) == 0 {
		fmt.Fprintln(w, "debian packages are installed")
		return nil
	}
	fmt.Fprintln(w, "installing debian packages:", strings.Join(missing, " "))
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install %s by hand: %w", strings.Join(missing, ", "), err)
	}
	restore, err := forbidServices(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if err := asRoot(ctx, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	return asRoot(ctx, "env", slices.Concat([]string{
		"DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qq", "-y", "--no-install-recommends",
	}, missing)...)
}

// forbidServices keeps packages from starting their services as they are
// installed, in Debian's way, unless the system forbids that already.
func forbidServices(ctx context.Context) (restore func() error, err error) {
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Stat(policy); err == nil {
		return func() error { return nil }, nil
	}
	if err := asRoot(ctx, "sh", "-c", `printf '#!/bin/sh\nexit 101\n' > `+policy+` && chmod 755 `+policy); err != nil {
		return nil, err
	}
	return func() error { return asRoot(context.WithoutCancel(ctx), "rm", policy) }, nil
}

func asRoot(ctx context.Context, name string, args ...string) error {
	if os.Geteuid() != 0 {
		name, args = "sudo", slices.Concat([]string{"-n", name}, args)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
