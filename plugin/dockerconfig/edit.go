package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/atomicwriter"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Edit is a change of config.json in progress. The file is edited as text:
// what is set is put in, what is removed is cut out, and every other byte stays
// as it is. It belongs to docker and to others who keep something there.
type Edit struct {
	path string
	data []byte
	// trailing is the white space at the end, which the library drops.
	trailing []byte
	mode     fs.FileMode
	// Missing is set where there is no such file.
	Missing bool
}

// OpenEdit reads the config.json in dir, or begins one.
func OpenEdit(dir string) (*Edit, error) {
	e := &Edit{path: filepath.Join(dir, "config.json"), mode: 0o600}
	if target, err := filepath.EvalSymlinks(e.path); err == nil {
		e.path = target // the link stays
	}
	data, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		e.Missing, e.data = true, []byte("{}")
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read docker config: %w", err)
	}
	if info, err := os.Stat(e.path); err == nil {
		e.mode = info.Mode().Perm()
	}
	if !gjson.ValidBytes(data) || !gjson.ParseBytes(data).IsObject() {
		return nil, fmt.Errorf("read docker config: %s is no JSON object", e.path)
	}
	e.data = bytes.TrimRight(data, " \t\r\n")
	e.trailing = data[len(e.data):]
	return e, nil
}

// Path is the file that is edited.
func (e *Edit) Path() string { return e.path }

// Get is the text at a path of keys, and whether there is one.
func (e *Edit) Get(keys ...string) (string, bool) {
	found := gjson.GetBytes(e.data, editPath(keys))
	return found.String(), found.Exists()
}

// Set puts text at a path of keys. It returns the parents that it had to make,
// the outermost first.
func (e *Edit) Set(text string, keys ...string) (made int, err error) {
	for i := len(keys) - 1; i > 0; i-- {
		if _, exists := e.Get(keys[:i]...); !exists {
			made++
		}
	}
	data, err := sjson.SetBytes(e.data, editPath(keys), text)
	if err != nil {
		return 0, fmt.Errorf("edit docker config: %w", err)
	}
	e.data = data
	return made, nil
}

// Remove takes away what is at a path of keys, and as many of its parents as
// Set has made, if nothing else is in them.
func (e *Edit) Remove(made int, keys ...string) error {
	for i := len(keys); i >= len(keys)-made; i-- {
		value := gjson.GetBytes(e.data, editPath(keys[:i]))
		if i < len(keys) && len(value.Map()) > 0 {
			return nil
		}
		data, err := sjson.DeleteBytes(e.data, editPath(keys[:i]))
		if err != nil {
			return fmt.Errorf("edit docker config: %w", err)
		}
		e.data = data
	}
	return nil
}

// Empty reports whether nothing is left in the file.
func (e *Edit) Empty() bool { return len(gjson.ParseBytes(e.data).Map()) == 0 }

// Blank is the text of a file that has nothing in it; it is empty for a file
// that has something.
func (e *Edit) Blank() string {
	if !e.Empty() {
		return ""
	}
	return string(e.data)
}

// Restore puts the text of a file that had nothing in it back.
func (e *Edit) Restore(blank string) {
	if e.Empty() && blank != "" {
		e.data = []byte(blank)
	}
}

// Save replaces the file by what was made of it, at once. A new file is
// indented as docker does it.
func (e *Edit) Save() error {
	if e.Missing {
		var indented bytes.Buffer
		if err := json.Indent(&indented, e.data, "", "\t"); err != nil {
			return fmt.Errorf("write docker config: %w", err)
		}
		e.data = indented.Bytes()
	}
	if err := os.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return fmt.Errorf("write docker config: %w", err)
	}
	if err := atomicwriter.WriteFile(e.path, append(bytes.Clone(e.data), e.trailing...), e.mode); err != nil {
		return fmt.Errorf("write docker config: %w", err)
	}
	return nil
}

// Delete removes the file.
func (e *Edit) Delete() error { return os.Remove(e.path) }

func editPath(keys []string) string {
	escaped := make([]string, len(keys))
	for i, key := range keys {
		escaped[i] = gjson.Escape(key)
	}
	return strings.Join(escaped, ".")
}
