package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

const head = `docker-gitea
Copyright 2026 The docker-gitea authors

docker-gitea and docker-credential-gitea are licensed under the Apache License,
version 2.0 (see LICENSE). They contain the modules below, whose licenses and
notices follow.
`

// writeNotice writes the licenses of everything that the two programs link on
// any system, each text once.
func writeNotice(ctx context.Context, file string) error {
	own, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	terms, _ := apache(string(own))
	texts := licenses{}
	goroot := runtime.GOROOT() //nolint:staticcheck // the one that runs this
	if err := texts.add("the standard library of Go", goroot); err != nil {
		return err
	}
	modules := map[string]bool{}
	for _, goos := range []string{"linux", "darwin", "windows"} {
		packages, err := linked(ctx, goos)
		if err != nil {
			return err
		}
		for _, p := range packages {
			modules[p.module+" "+p.version] = true
			if err := texts.addPackage(p); err != nil {
				return err
			}
		}
	}
	var w bytes.Buffer
	fmt.Fprint(&w, head+"\n")
	for _, module := range slices.Sorted(maps.Keys(modules)) {
		fmt.Fprintln(&w, module)
	}
	texts.print(&w, terms)
	return os.WriteFile(file, w.Bytes(), 0o644)
}

// linkedPackage is a package of another module that the programs contain.
type linkedPackage struct{ module, version, moduleDir, dir string }

func linked(ctx context.Context, goos string) ([]linkedPackage, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-tags", "nethttpomithttp2", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}\t{{$.Dir}}{{end}}{{end}}", "./cmd/...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages for %s: %w", goos, err)
	}
	var packages []linkedPackage
	for line := range strings.Lines(string(out)) {
		if part := strings.Split(strings.TrimSpace(line), "\t"); len(part) == 4 {
			packages = append(packages, linkedPackage{part[0], part[1], part[2], part[3]})
		}
	}
	return packages, nil
}

// licenses maps a text to who is under it.
type licenses map[string]map[string]bool

// addPackage adds the texts of the module, and those between it and the
// package, where code from elsewhere has its own.
func (l licenses) addPackage(p linkedPackage) error {
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		if err := l.add(p.module, dir); err != nil {
			return err
		}
		if dir == p.moduleDir {
			break
		}
	}
	for _, under := range l {
		if under[p.module] {
			return nil
		}
	}
	return fmt.Errorf("%s has no license", p.module)
}

var licenseFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|notice|patents)([.-].*)?$`)

func (l licenses) add(who, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || !licenseFile.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		key := strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))
		if l[key] == nil {
			l[key] = map[string]bool{}
		}
		l[key][who] = true
	}
	return nil
}

// apache divides a copy of the Apache License into the words of its terms and
// what follows them. Without terms it is another license.
func apache(text string) (terms, tail string) {
	const begin, end = "Apache License", "END OF TERMS AND CONDITIONS"
	_, text, _ = strings.Cut(text, begin)
	text, tail, found := strings.Cut(text, end)
	if !found {
		return "", ""
	}
	return strings.Join(strings.Fields(text), " "), tail
}

// withoutApache shortens a copy of the Apache License to its own copyright
// lines where the terms are those of LICENSE.
func withoutApache(text, ours string) string {
	terms, tail := apache(text)
	if terms != ours {
		return text
	}
	short := []string{"Licensed under the Apache License, version 2.0, which is in LICENSE."}
	for line := range strings.Lines(tail) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Copyright") && !strings.Contains(line, "yyyy") {
			short = append(short, line)
		}
	}
	return strings.Join(short, "\n")
}

func (l licenses) print(w io.Writer, terms string) {
	type entry struct{ who, text string }
	var entries []entry
	for text, who := range l {
		entries = append(entries, entry{strings.Join(slices.Sorted(maps.Keys(who)), "\n"), withoutApache(text, terms)})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return strings.Compare(a.who+"\x00"+a.text, b.who+"\x00"+b.text)
	})
	for _, e := range entries {
		fmt.Fprintf(w, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 72), e.who, e.text)
	}
}
