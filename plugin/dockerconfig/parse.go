package dockerconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
)

// parsed is a file of docker's form, as far as it can be read. What one entry
// has wrong is no reason to do without the others.
type parsed struct {
	*configfile.ConfigFile
	path string
	// odd are the entries of auths that cannot be read, and why.
	odd map[string]error
	// broken is why more than that cannot be read, or nil.
	broken error
}

// passedOver says what of the file is not used, in a line each.
func (f parsed) passedOver() []string {
	var lines []string
	if f.broken != nil {
		lines = append(lines, f.broken.Error()+": it is passed over")
	}
	for _, key := range slices.Sorted(maps.Keys(f.odd)) {
		lines = append(lines, fmt.Sprintf("%s: the entry %q is passed over: %v", f.path, key, f.odd[key]))
	}
	return lines
}

// fault is why the file may have a credential for the place that cannot be read,
// or nil.
func (f parsed) fault(p Place) error {
	if f.broken != nil {
		return f.broken
	}
	entries := maps.Clone(f.AuthConfigs)
	for key := range f.odd {
		entries[key] = types.AuthConfig{}
	}
	if key := p.key(entries); f.odd[key] != nil {
		return fmt.Errorf("%s: the entry %q: %w", f.path, key, f.odd[key])
	}
	return nil
}

// readFile reads a file of docker's form. A file that does not exist is empty.
func (c *Config) readFile(path string) parsed {
	content, err := ownfile.Read(path)
	c.Hide(content)
	switch {
	case os.IsNotExist(err):
		return parsed{ConfigFile: configfile.New(path), path: path}
	case err != nil:
		return parsed{ConfigFile: configfile.New(path), path: path, broken: err}
	}
	return parseFile(path, content)
}

// parseFile parses the content of such a file. Docker itself does without the
// file for each of these faults, and says so.
func parseFile(path string, content []byte) parsed {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	f := parsed{ConfigFile: configfile.New(path), path: path, odd: map[string]error{}}
	whole, err := config.LoadFromReader(bytes.NewReader(content))
	if err == nil {
		f.ConfigFile = whole
		return f
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(content, &fields) != nil {
		f.broken = fmt.Errorf("%s: %w", path, endOf(err))
		return f
	}
	for name, value := range fields {
		if strings.EqualFold(name, "auths") {
			f.readEntries(value)
			continue
		}
		part, err := parsePart(name, value)
		switch {
		case err == nil:
			f.take(part)
		case strings.EqualFold(name, "credHelpers"), strings.EqualFold(name, "credsStore"):
			f.broken = fmt.Errorf("%s: %s: %w", path, name, err)
		}
	}
	return f
}

// take has what one field of the file says.
func (f parsed) take(part *configfile.ConfigFile) {
	if part.CredentialsStore != "" {
		f.CredentialsStore = part.CredentialsStore
	}
	if part.CredentialHelpers != nil {
		f.CredentialHelpers = part.CredentialHelpers
	}
	if part.CurrentContext != "" {
		f.CurrentContext = part.CurrentContext
	}
}

func (f parsed) readEntries(value json.RawMessage) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(value, &entries); err != nil {
		f.odd["auths"] = err
		return
	}
	for key, entry := range entries {
		object, err := json.Marshal(map[string]json.RawMessage{key: entry})
		if err != nil {
			f.odd[key] = err
			continue
		}
		part, err := parsePart("auths", object)
		if err != nil {
			f.odd[key] = err
			continue
		}
		maps.Copy(f.AuthConfigs, part.AuthConfigs)
	}
}

func parsePart(name string, value json.RawMessage) (*configfile.ConfigFile, error) {
	object, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err != nil {
		return nil, err
	}
	return config.LoadFromReader(bytes.NewReader(object))
}

// endOf keeps the early end of a file from passing, further up, for that of a
// connection.
func endOf(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early: it was not written to its end")
	}
	return err
}
