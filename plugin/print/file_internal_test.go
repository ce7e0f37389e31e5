//go:build unix

package print

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What a path leads to gets the result. What an earlier push wrote there is
// gone before, and whatever is no file is still what it was.
func TestOutputFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file := func(name string) { writeTestFile(t, at(name), "before") }
	link := func(to, name string) {
		if err := os.Symlink(to, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	file("file")
	file("target")
	link("target", "link")
	link("new", "dangling")
	link("/dev/null", "nowhere")
	for _, test := range []struct {
		name         string
		mode         fs.FileMode
		target, read string
	}{
		{name: "absent", read: "absent"},
		{name: "file", read: "file"},
		{name: "link", mode: fs.ModeSymlink, read: "target"},
		{name: "dangling", mode: fs.ModeSymlink, read: "new"},
		{name: "nowhere", mode: fs.ModeSymlink},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := outputFile(at(test.name))
			if err := out.Prepare(); err != nil {
				t.Fatal(err)
			}
			if test.read != "" {
				if content, _ := os.ReadFile(at(test.read)); len(content) > 0 {
					t.Errorf("before the push there is %q", content)
				}
			}
			if err := out.Write([]byte("result")); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(at(test.name)); err != nil || info.Mode().Type() != test.mode {
				t.Errorf("got %v, %v, want %v", info, err, test.mode)
			}
			if test.read != "" {
				if content, err := os.ReadFile(at(test.read)); err != nil || string(content) != "result" {
					t.Errorf("got %q, %v", content, err)
				}
			}
		})
	}
	if err := os.Mkdir(at("directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := outputFile(at("directory")).Prepare(); err == nil {
		t.Error("a directory was accepted")
	}
	if _, err := os.Stat(at("directory")); err != nil {
		t.Errorf("the directory is gone: %v", err)
	}
}

func TestOutputPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if err := outputFile(pipe).Prepare(); err != nil {
		t.Fatal(err)
	}
	written := make(chan error)
	go func() { written <- outputFile(pipe).Write([]byte("result")) }()
	reader, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	content, err := io.ReadAll(reader)
	if err := <-written; err != nil {
		t.Error(err)
	}
	if err != nil || string(content) != "result" {
		t.Errorf("got %q, %v", content, err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Errorf("got %v, %v", info, err)
	}
}

func writeTestFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
