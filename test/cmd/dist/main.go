// Command dist makes what a release consists of: for each platform an archive
// with both programs, manual pages, completions, licenses and a bill of
// materials, for Linux also a Debian and an RPM package, and the checksums of
// all. The same commit gives the same bytes.
//
//	dist [-o DIR] [-version VERSION] [-maintainer "NAME <ADDRESS>"] [GOOS/GOARCH…]
//	dist [-version VERSION] share DIR     write manual pages and completions alone
//	dist [-o DIR] -version TAG publish    make what is in DIR the release of the tag
//
// build.go makes the programs and their bills, share.go manual pages and
// completions, notice.go the file NOTICE; archive.go and package.go put them
// together. publish.go gives it all to a Gitea.
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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// platforms are those of a release.
var platforms = []string{
	"linux/amd64", "linux/arm64", "linux/armv7", "linux/ppc64le", "linux/s390x", "linux/riscv64",
	"darwin/amd64", "darwin/arm64",
	"windows/amd64", "windows/arm64",
}

// nobody is the maintainer where none is named: packages have to have one with
// an address, and nobody has a domain below invalid (RFC 2606).
const nobody = "The docker-gitea authors <noreply@docker-gitea.invalid>"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	flags := flag.NewFlagSet("dist", flag.ContinueOnError)
	out := flags.String("o", "dist", "where to write; what is there is removed")
	version := flags.String("version", "unknown", "version of the release")
	maintainer := flags.String("maintainer", nobody, "who answers for the Debian and RPM packages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 1 && flags.Arg(0) == "publish" {
		return publish(ctx, *out, *version)
	}
	date, err := commitDate(ctx)
	if err != nil {
		return err
	}
	r := &release{version: strings.TrimPrefix(*version, "v"), maintainer: *maintainer, date: date, out: *out}
	if flags.NArg() == 2 && flags.Arg(0) == "share" {
		return r.share(ctx, flags.Arg(1))
	}
	chosen := flags.Args()
	if len(chosen) == 0 {
		chosen = platforms
	}
	return r.make(ctx, chosen, w)
}

// publish makes what is in dir the release of a tag of this repository.
func publish(ctx context.Context, dir, tag string) error {
	changelog, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return err
	}
	notes, err := notesOf(string(changelog), strings.TrimPrefix(tag, "v"))
	if err != nil {
		return err
	}
	p, err := newPublisher(os.Getenv)
	if err != nil {
		return err
	}
	return p.publish(ctx, dir, tag, notes, registry.NewSecret(os.Getenv("RELEASE_KEY")))
}

// commitDate is the time that everything bears: SOURCE_DATE_EPOCH, or else
// that of the last commit.
func commitDate(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("set SOURCE_DATE_EPOCH, or build in a git checkout: %w", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// release is what is being made.
type release struct {
	version    string
	maintainer string
	date       time.Time
	out        string
	work       string // where the parts are put before they are packed
}

func (r *release) make(ctx context.Context, chosen []string, w io.Writer) (err error) {
	if r.work, err = os.MkdirTemp("", "dist-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	if err := errors.Join(os.RemoveAll(r.out), os.MkdirAll(r.out, 0o755)); err != nil {
		return err
	}
	if err := r.share(ctx, filepath.Join(r.work, "share")); err != nil {
		return err
	}
	if err := writeNotice(ctx, r.notice()); err != nil {
		return err
	}
	for _, name := range chosen {
		p, err := parsePlatform(name)
		if err != nil {
			return err
		}
		if err := r.platform(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(w, name)
	}
	return r.checksums()
}

// notice is the file with the licenses of what the programs link.
func (r *release) notice() string { return filepath.Join(r.work, "NOTICE") }

func (r *release) platform(ctx context.Context, p platform) error {
	if err := r.build(ctx, p); err != nil {
		return err
	}
	if err := errors.Join(r.archive(p), r.bills(p)); err != nil {
		return err
	}
	if p.goos != "linux" {
		return nil
	}
	return errors.Join(r.pack(ctx, p, "deb"), r.pack(ctx, p, "rpm"))
}

// platform is a system that programs are built for.
type platform struct{ goos, goarch, goarm string }

func parsePlatform(name string) (platform, error) {
	if !slices.Contains(platforms, name) {
		return platform{}, fmt.Errorf("%q is none of %s", name, strings.Join(platforms, ", "))
	}
	goos, goarch, _ := strings.Cut(name, "/")
	if goarch == "armv7" {
		return platform{goos, "arm", "7"}, nil
	}
	return platform{goos, goarch, ""}, nil
}

// String is part of file names: linux_amd64, linux_armv7.
func (p platform) String() string {
	if p.goarm != "" {
		return p.goos + "_" + p.goarch + "v" + p.goarm
	}
	return p.goos + "_" + p.goarch
}
