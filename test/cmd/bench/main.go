//go:build unix

// Command bench compares `docker gitea push` with the other programs that push
// images: on the same images, to the same kind of registry, in the same run.
//
//	bench [-rounds N] [-only REGEXP] [-o FILE]
//	bench [-rounds N] [-only REGEXP] -former PROGRAM
//
// With -former, an earlier build of the plugin takes the place of the other
// programs, so that a change shows that it makes no row slower.
//
// Each scenario that is finished is put into FILE, in the place of what that
// says of it; the others stay.
//
// Every run of a program has a new, empty Gitea behind TLS and an empty HOME.
// In each round every program has its turn. After the rounds, each runs once
// more through a proxy that counts requests and bytes.
//
//   - scenarios.go says what is compared
//   - tools.go knows the programs' command lines
//   - images.go makes the images out of the Go toolchain's own tree, stock.go those
//     of another registry and of a project; site.go has a Gitea of a larger site
//   - run.go runs one program once; link.go and proxies.go are what it may push through
//   - start.go measures what it takes to start, levels.go what the levels of
//     compression do
//   - former.go compares with an earlier build
//   - report.go makes medians, ratios and a table; document.go puts the tables
//     together
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each program runs; some scenarios have more or fewer")
	only := flag.String("only", "", "run only the scenarios whose names match this expression")
	output := flag.String("o", "", "write the report to this file, too")
	former := flag.String("former", "", "compare with this earlier build of the plugin, and with nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	measure := func(ctx context.Context) error { return run(ctx, *rounds, *only, *output) }
	if *former != "" {
		measure = func(ctx context.Context) error { return compare(ctx, *rounds, *only, *former) }
	}
	err := measure(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the scenarios need.
type bench struct {
	filter *regexp.Regexp // for the names of scenarios
	dir    string
	tools  tools
	images *images
}

// newBench builds the plugin and starts the engines. The caller closes it.
func newBench(ctx context.Context, only string) (_ *bench, err error) {
	b := new(bench)
	if b.filter, err = regexp.Compile(only); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	if b.tools, err = findTools(ctx, b.dir); err == nil {
		b.images, err = makeImages(ctx, b.dir, b.tools.ours)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

func (b *bench) close() error { return errors.Join(b.images.stop(), os.RemoveAll(b.dir)) }

func run(ctx context.Context, rounds int, only, output string) (err error) {
	b, err := newBench(ctx, only)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	filter, tools, images := b.filter, b.tools, b.images
	var failed error
	names := []string{startName}
	for _, s := range scenarios(tools) {
		names = append(names, s.name)
	}
	names = append(names, levelsName)
	finish := func(name, section string) error {
		fmt.Println(section)
		if output == "" {
			return nil
		}
		return save(output, map[string]string{name: section}, names, rounds)
	}
	if filter.MatchString(startName) {
		section, err := starts(ctx, tools.ours, b.dir)
		if err == nil {
			err = finish(startName, section)
		}
		if err != nil {
			return err
		}
	}
	for _, s := range scenarios(tools) {
		if !filter.MatchString(s.name) {
			continue
		}
		begin := time.Now()
		fmt.Fprintln(os.Stderr, "==", s.name)
		r, err := s.run(ctx, images, rounds)
		if err == nil {
			err = finish(s.name, r.section())
		}
		if err != nil {
			// The others are worth having all the same.
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintln(os.Stderr, "== took", time.Since(begin).Round(time.Second))
	}
	if filter.MatchString(levelsName) && ctx.Err() == nil {
		section, err := levels(ctx, images)
		if err == nil {
			err = finish(levelsName, section)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// build compiles the plugin as it is released.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "docker-gitea")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags=nethttpomithttp2", "-ldflags=-s -w", "-o", program, "github.com/docker-gitea/docker-gitea/cmd/docker-gitea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}
