package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// texts are in every archive and package, and the file NOTICE beside them.
var texts = []string{"LICENSE", "README.md", "CHANGELOG.md"}

// part is a file of an archive.
type part struct {
	name, source string
	mode         fs.FileMode
}

// parts lists the files for a platform, in the order of their names.
func (r *release) parts(p platform) ([]part, error) {
	var all []part
	for _, name := range texts {
		all = append(all, part{name, name, 0o644})
	}
	all = append(all, part{"NOTICE", r.notice(), 0o644})
	for _, name := range programs {
		all = append(all,
			part{p.program(name), filepath.Join(r.dir(p), p.program(name)), 0o755},
			part{"sbom/" + name + ".cdx.json", filepath.Join(r.dir(p), name+".cdx.json"), 0o644})
	}
	share := filepath.Join(r.work, "share")
	err := filepath.WalkDir(share, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(r.work, file)
		all = append(all, part{filepath.ToSlash(rel), file, 0o644})
		return err
	})
	return all, err
}

// archive packs everything for a platform into one file: a zip for Windows.
func (r *release) archive(p platform) (err error) {
	parts, err := r.parts(p)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("docker-gitea_%s_%s", r.version, p)
	pack, suffix := r.tar, ".tar.gz"
	if p.goos == "windows" {
		pack, suffix = r.zip, ".zip"
	}
	out, err := os.Create(filepath.Join(r.out, name+suffix))
	if err != nil {
		return err
	}
	return errors.Join(pack(out, name, parts), out.Close())
}

func (r *release) tar(out io.Writer, dir string, parts []part) error {
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, p := range parts {
		content, err := os.ReadFile(p.source)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: path.Join(dir, p.name), Mode: int64(p.mode), Size: int64(len(content)), ModTime: r.date}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

func (r *release) zip(out io.Writer, dir string, parts []part) error {
	archive := zip.NewWriter(out)
	for _, p := range parts {
		content, err := os.ReadFile(p.source)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: path.Join(dir, p.name), Method: zip.Deflate, Modified: r.date}
		header.SetMode(p.mode)
		w, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}

// checksums writes the SHA-256 of all that was made, as sha256sum -c reads it.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), entry.Name())
	}
	return os.WriteFile(filepath.Join(r.out, sumsFile), []byte(sums.String()), 0o644)
}
