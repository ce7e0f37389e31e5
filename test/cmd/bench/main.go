// Command bench compares `docker gitea push` with the other programs that push
// images: on the same images, to the same kind of registry, in the same run.
//
//	bench [-rounds N] [-only REGEXP] [-o FILE]
//
// Every run of a program has a new, empty Gitea behind TLS and an empty HOME.
// In each round every program has its turn. After the rounds, each runs once
// more through a proxy that counts requests and bytes.
//
//   - scenarios.go says what is compared
//   - tools.go knows the programs' command lines
//   - images.go makes the images out of the Go toolchain's own tree
//   - run.go runs one program once; proxies.go are what it may push through
//   - report.go makes medians, ratios and the table
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
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each program runs")
	only := flag.String("only", "", "run only the scenarios whose names match this expression")
	output := flag.String("o", "", "write the report to this file, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *rounds, *only, *output)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, only, output string) (err error) {
	filter, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tools, err := findTools(ctx, dir)
	if err != nil {
		return err
	}
	images, err := makeImages(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.stop()) }()
	var reports []report
	for _, s := range scenarios(tools) {
		if !filter.MatchString(s.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "==", s.name)
		r, err := s.run(ctx, images, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		reports = append(reports, r)
		if err := r.write(os.Stdout); err != nil {
			return err
		}
		if output != "" {
			if err := save(output, reports, rounds); err != nil {
				return err
			}
		}
	}
	return nil
}

// save writes the document as far as there are reports.
func save(path string, reports []report, rounds int) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeDocument(file, reports, rounds), file.Close())
}

// build compiles the plugin as it is released.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "docker-gitea")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/docker-gitea/docker-gitea/cmd/docker-gitea")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return program, cmd.Run()
}
