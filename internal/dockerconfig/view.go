package dockerconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The keys that the programs read and write.
const (
	KeyAuths   = "auths"
	KeyHelpers = "credHelpers"
	KeyStore   = "credsStore"
)

// view is what docker reads in a config.json, as far as it is edited here.
// Source: docker/cli cli/config/configfile/file.go, cli/config/types.
type view struct {
	Auths    map[string]auth              `json:"auths"`
	Helpers  map[string]string            `json:"credHelpers"`
	Store    string                       `json:"credsStore"`
	Plugins  map[string]map[string]string `json:"plugins"`
	Features map[string]string            `json:"features"`
}

// auth is an entry of "auths".
type auth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// SecretKeys are those keys of an entry in "auths" that are secrets.
var SecretKeys = []string{"auth", "password", "identitytoken", "registrytoken"}

// read reads data as docker does. Its error quotes nothing of the file, which
// may hold secrets.
func read(data []byte) (view, error) {
	var v view
	err := json.Unmarshal(data, &v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return view{}, errors.New("is not a JSON object")
		}
		return view{}, fmt.Errorf("is nothing that docker can read: the type of %q is wrong", strings.SplitN(wrong.Field, ".", 2)[0])
	}
	if malformed, ok := errors.AsType[*json.SyntaxError](err); ok {
		return view{}, fmt.Errorf("is not a JSON object: it is malformed after %d bytes", malformed.Offset)
	}
	if err == nil && !strings.HasPrefix(strings.TrimSpace(string(data)), "{") { // null
		return view{}, errors.New("is not a JSON object")
	}
	return v, err
}

// text is what docker reads at a path of keys, and whether there is something.
func (v view) text(keys ...string) (text string, exists bool) {
	at := func(m map[string]string) (string, bool) {
		if len(keys) < 2 {
			return "", m != nil
		}
		text, exists := m[keys[1]]
		return text, exists
	}
	switch keys[0] {
	case KeyStore:
		return v.Store, v.Store != ""
	case KeyHelpers:
		return at(v.Helpers)
	case "features":
		return at(v.Features)
	case "plugins":
		if len(keys) < 3 {
			_, exists = v.Plugins[keys[min(1, len(keys)-1)]]
			return "", exists
		}
		text, exists = v.Plugins[keys[1]][keys[2]]
		return text, exists
	case KeyAuths:
		if len(keys) == 3 {
			a := v.Auths[keys[1]]
			text = map[string]string{"auth": a.Auth, "password": a.Password, "identitytoken": a.IdentityToken, "registrytoken": a.RegistryToken}[keys[2]]
			return text, text != ""
		}
	}
	return "", false
}

// Get is the text that docker reads at a path of keys, and whether there is
// one.
func (e *Edit) Get(keys ...string) (string, bool) {
	v, err := read(e.data)
	if err != nil { // no edit leaves a file that cannot be read
		return "", false
	}
	return v.text(keys...)
}

// Helper is the helper that docker asks for a registry, by the [Key] of it, or
// nothing where docker keeps the login itself.
func (e *Edit) Helper(key string) string {
	if own, exists := e.Get(KeyHelpers, key); exists {
		return own
	}
	all, _ := e.Get(KeyStore)
	return all
}

// Plain are the addresses in "auths" with a secret in the clear. Its order is
// that of the file.
func (e *Edit) Plain() []string { return plain(e.data) }

// PlainIn is [Edit.Plain] of the text of such a file, as podman has some and
// DOCKER_AUTH_CONFIG is one. What cannot be read has none.
func PlainIn(text []byte) []string {
	if _, err := read(text); err != nil {
		return nil
	}
	return plain(text)
}

func plain(data []byte) []string {
	v, err := read(data)
	if err != nil {
		return nil
	}
	var addresses []string
	for _, auths := range members(data, 0) {
		if !strings.EqualFold(auths.key, KeyAuths) {
			continue
		}
		for _, m := range members(data, auths.value) {
			a := v.Auths[m.key]
			if a.Auth+a.Password+a.IdentityToken+a.RegistryToken != "" {
				addresses = append(addresses, m.key)
			}
		}
	}
	return addresses
}
