package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

var programs = []string{"docker-gitea", "docker-credential-gitea"}

// dir is where the parts for one platform are.
func (r *release) dir(p platform) string { return filepath.Join(r.work, p.String()) }

// build makes the programs, and says of each in the form of CycloneDX which
// modules it contains.
func (r *release) build(ctx context.Context, p platform) error {
	biller, err := servers.Program("cyclonedx-gomod")
	if err != nil {
		return err
	}
	for _, name := range programs {
		program := filepath.Join(r.dir(p), p.program(name))
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "nethttpomithttp2",
			"-ldflags", "-s -w -buildid= -X main.version="+r.version, "-o", program, "./cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.goos, "GOARCH="+p.goarch, "GOARM="+p.goarm)
		if err := quietly(cmd); err != nil {
			return err
		}
		bill := exec.CommandContext(ctx, biller, "bin", "-json", "-noserial", "-notimestamp", "-std",
			"-version", r.version, "-output", filepath.Join(r.dir(p), name+".cdx.json"), program)
		if err := quietly(bill); err != nil {
			return err
		}
	}
	return nil
}

// bills puts the bills beside the archive, too: what looks for vulnerabilities
// reads them as they are.
func (r *release) bills(p platform) error {
	for _, name := range programs {
		content, err := os.ReadFile(filepath.Join(r.dir(p), name+".cdx.json"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.out, fmt.Sprintf("%s_%s_%s.cdx.json", name, r.version, p)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (p platform) program(name string) string {
	if p.goos == "windows" {
		return name + ".exe"
	}
	return name
}

// quietly runs a command whose output matters only when it fails.
func quietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), cmd.Args[1], err, out)
	}
	return nil
}
