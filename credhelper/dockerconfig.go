package credhelper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/sys/atomicwriter"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Docker's config.json belongs to Docker and to every other tool that keeps
// something there. It is edited as text: unknown keys, the order, the mode and
// a link to the file stay as they are.

const (
	keyHelpers = "credHelpers"
	keyDefault = "credsStore"
	keyAuths   = "auths"
)

// dockerConfigPath is where Docker's configuration is.
func (h *helper) dockerConfigPath() (string, error) {
	if dir := h.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find Docker's configuration: %w", err)
	}
	return filepath.Join(home, ".docker", "config.json"), nil
}

// readDockerConfig reads the configuration. A missing or empty file is an
// empty object, as it is for Docker.
func readDockerConfig(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(bytes.TrimSpace(data)) == 0 {
		return []byte("{}"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Docker's configuration: %w", err)
	}
	if !gjson.ValidBytes(data) || !gjson.ParseBytes(data).IsObject() {
		return nil, fmt.Errorf("read Docker's configuration: %s is not a JSON object", path)
	}
	return data, nil
}

// writeDockerConfig replaces the file that path leads to.
func writeDockerConfig(path string, data []byte) error {
	mode := fs.FileMode(ownFile)
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = path
		err = os.MkdirAll(filepath.Dir(path), ownDir)
	case err == nil:
		var info fs.FileInfo
		if info, err = os.Stat(target); err == nil {
			mode = info.Mode().Perm()
		}
	}
	if err == nil {
		err = atomicwriter.WriteFile(target, data, mode)
	}
	if err != nil {
		return fmt.Errorf("write Docker's configuration: %w", err)
	}
	return nil
}

// dockerEdit is an edit of the configuration in progress. Changes are lines
// for the user, each beginning with "+" or "-", without secrets.
type dockerEdit struct {
	data []byte
	// force replaces another helper.
	force   bool
	changes []string
}

func (e *dockerEdit) get(keys ...string) gjson.Result {
	return gjson.GetBytes(e.data, jsonPath(keys))
}

func (e *dockerEdit) set(value string, keys ...string) (err error) {
	if before := e.get(keys...); before.Exists() {
		e.note("-", before.String(), keys)
	}
	e.note("+", value, keys)
	// Where there is nothing yet, the library takes a host that is a number for
	// the index of an array.
	if parent := keys[:len(keys)-1]; len(parent) > 0 && !e.get(parent...).IsObject() {
		if e.data, err = sjson.SetRawBytes(e.data, jsonPath(parent), []byte("{}")); err != nil {
			return err
		}
	}
	e.data, err = sjson.SetBytes(e.data, jsonPath(keys), value)
	return err
}

func (e *dockerEdit) remove(shown string, keys ...string) (err error) {
	e.note("-", shown, keys)
	e.data, err = sjson.DeleteBytes(e.data, jsonPath(keys))
	return err
}

// note adds a line such as
//
//   - "credHelpers": {"git.example.com": "gitea"}
func (e *dockerEdit) note(sign, value string, keys []string) {
	text := fmt.Sprintf("%q", value)
	for i, key := range slices.Backward(keys) {
		text = fmt.Sprintf("%q: %s", key, text)
		if i > 0 {
			text = "{" + text + "}"
		}
	}
	e.changes = append(e.changes, sign+" "+text)
}

// jsonPath joins keys to a path of gjson and sjson. Hosts have dots.
func jsonPath(keys []string) string {
	escaped := make([]string, len(keys))
	for i, key := range keys {
		escaped[i] = gjson.Escape(key)
	}
	return strings.Join(escaped, ".")
}

// serve makes Docker ask us for a host. A login of that host that the file
// holds in the clear is removed, as "docker login" would: Docker no longer
// reads it.
func (e *dockerEdit) serve(host string) error {
	current := e.get(keyHelpers, host).String()
	if current != "" && current != helperName && !e.force {
		return advise(fmt.Errorf("docker-credential-%s is set for %s", current, host), "replace it with --force")
	}
	if current != helperName {
		if err := e.set(helperName, keyHelpers, host); err != nil {
			return err
		}
	}
	for _, key := range plainKeys {
		if e.get(keyAuths, host, key).String() == "" {
			continue
		}
		if err := e.remove("[redacted]", keyAuths, host, key); err != nil {
			return err
		}
	}
	return nil
}

// plainKeys are the keys of an entry in "auths" that are secrets.
var plainKeys = []string{"auth", "identitytoken", "registrytoken", "password"}

// serveAll makes Docker ask us for every host that has no helper of its own.
func (e *dockerEdit) serveAll() error {
	current := e.get(keyDefault).String()
	if current == helperName {
		return nil
	}
	if current != "" && !e.force {
		return advise(fmt.Errorf("docker-credential-%s is set for every host", current), "replace it with --force")
	}
	return e.set(helperName, keyDefault)
}

// release undoes serve.
func (e *dockerEdit) release(host string) error {
	if e.get(keyHelpers, host).String() != helperName {
		return nil
	}
	if err := e.remove(helperName, keyHelpers, host); err != nil {
		return err
	}
	if len(e.get(keyHelpers).Map()) > 0 {
		return nil
	}
	var err error
	e.data, err = sjson.DeleteBytes(e.data, keyHelpers)
	return err
}

// releaseAll undoes serveAll.
func (e *dockerEdit) releaseAll() error {
	if e.get(keyDefault).String() != helperName {
		return nil
	}
	return e.remove(helperName, keyDefault)
}

var firstIndent = regexp.MustCompile(`^\s*\{\r?\n([ \t]+)`)

// indented returns the edited file, indented like the original, or like
// Docker's own where that has no indentation.
func (e *dockerEdit) indented(original []byte) ([]byte, error) {
	indent := "\t"
	if match := firstIndent.FindSubmatch(original); match != nil {
		indent = string(match[1])
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(e.data), "", indent); err != nil {
		return nil, err
	}
	if bytes.HasSuffix(original, []byte("\n")) {
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}
