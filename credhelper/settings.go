package credhelper

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker-gitea/docker-gitea/credhelper/store"
	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

// config is the user's configuration, config.json in our directory. Nothing in
// it is secret.
type config struct {
	// Storage is where new logins are stored, see store.Names.
	Storage string `json:"storage,omitempty"`
	// Hosts are the settings of single hosts, by host[:port].
	Hosts map[string]settings `json:"hosts,omitempty"`
}

// settings say how one host is reached, trusted and logged in to.
type settings struct {
	// RootURL is the address of Gitea's web pages, where it differs from the
	// root of the host.
	RootURL string `json:"rootURL,omitempty"`
	// CAFiles are PEM files of authorities trusted beside the system's.
	CAFiles []string `json:"caFiles,omitempty"`
	// Insecure accepts any certificate of the host, PlainHTTP allows http, where
	// secrets travel in the clear. Nil is what nobody has said: false is said,
	// too, and goes before what is said elsewhere.
	Insecure  *bool `json:"insecure,omitempty"`
	PlainHTTP *bool `json:"plainHTTP,omitempty"`
	// ClientID and Scope are the OAuth application's, as register-app made
	// it. Empty means the public application that Gitea has of its own.
	ClientID string `json:"clientID,omitempty"`
	Scope    string `json:"scope,omitempty"`
	// Storage takes precedence over the general one.
	Storage string `json:"storage,omitempty"`
}

// or fills what s leaves open from the next best settings.
func (s settings) or(next settings) settings {
	if s.ClientID == "" {
		// A scope belongs to its application.
		s.ClientID, s.Scope = next.ClientID, cmp.Or(s.Scope, next.Scope)
	}
	if len(s.CAFiles) == 0 {
		s.CAFiles = next.CAFiles
	}
	s.RootURL = cmp.Or(s.RootURL, next.RootURL)
	s.Insecure = cmp.Or(s.Insecure, next.Insecure)
	s.PlainHTTP = cmp.Or(s.PlainHTTP, next.PlainHTTP)
	s.Storage = cmp.Or(s.Storage, next.Storage)
	return s
}

// isOn reports that a switch was thrown.
func isOn(s *bool) bool { return s != nil && *s }

// again is what of the last login to a host holds for a new one: not what
// weakens the way there. That was said once, for that login alone. (On this
// machine http weakens nothing.)
func (s settings) again(host string) settings {
	s.Insecure = nil
	if isLoopback(host) {
		return s
	}
	s.PlainHTTP = nil
	if strings.HasPrefix(s.RootURL, "http://") {
		s.RootURL = ""
	}
	return s
}

// bound are the settings for the server at an address: those of s if it is
// host, which they were given for, and for another the configuration's own.
func (h *helper) bound(address, host string, s settings) (settings, error) {
	other, err := registry.NormalizeHost(address)
	if err != nil || other == host {
		return s, err
	}
	conf, err := h.loadConfig()
	return conf.Hosts[other], err
}

// settingsFor merges what is set for host: flags, environment, configuration,
// and what the host was logged in with before.
func (h *helper) settingsFor(host string, flags settings, before entry) (settings, error) {
	conf, err := h.loadConfig()
	if err != nil {
		return settings{}, err
	}
	return flags.
		or(settings{Storage: h.Getenv(envStorage)}).
		or(conf.Hosts[host]).
		or(settings{Storage: conf.Storage}).
		or(before.Settings), nil
}

func configPath(dir string) string { return filepath.Join(dir, "config.json") }

// loadConfig reads the configuration. A missing file is an empty one; an
// unknown field or a malformed host is an error.
func (h *helper) loadConfig() (config, error) {
	if h.dir == "" {
		return config{}, nil
	}
	data, err := ownfile.ReadPrivate(configPath(h.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, fmt.Errorf("read configuration: %w", err)
	}
	h.hidden.AddJSON(data)
	conf, err := parseConfig(data)
	if err != nil {
		return config{}, fmt.Errorf("read configuration: %s: %w", configPath(h.dir), err)
	}
	for _, s := range conf.Hosts {
		// A relative path is one beside the file that has it, and never one of the
		// working directory.
		for i, file := range s.CAFiles {
			if !filepath.IsAbs(file) {
				s.CAFiles[i] = filepath.Join(h.dir, file)
			}
		}
	}
	return conf, nil
}

func parseConfig(data []byte) (config, error) {
	var conf config
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&conf); err != nil {
		return config{}, err
	}
	if err := store.CheckName(conf.Storage); err != nil {
		return config{}, err
	}
	for _, host := range slices.Sorted(maps.Keys(conf.Hosts)) {
		if normal, err := registry.NormalizeHost(host); err != nil {
			return config{}, fmt.Errorf("hosts: %w", err)
		} else if normal != host {
			return config{}, fmt.Errorf("hosts: write %q as %q", host, normal)
		}
		if err := store.CheckName(conf.Hosts[host].Storage); err != nil {
			return config{}, fmt.Errorf("hosts: %s: %w", host, err)
		}
	}
	return conf, nil
}

// saveClient notes the OAuth application of a host.
func (h *helper) saveClient(ctx context.Context, host, clientID, scope string) error {
	unlock, err := h.lock(ctx, "@config", indexTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	conf, err := h.loadConfig()
	if err != nil {
		return err
	}
	if conf.Hosts == nil {
		conf.Hosts = map[string]settings{}
	}
	s := conf.Hosts[host]
	s.ClientID, s.Scope = clientID, scope
	conf.Hosts[host] = s
	if err := writeJSON(configPath(h.dir), conf); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}
