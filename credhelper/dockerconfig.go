package credhelper

import (
	"fmt"
	"slices"

	"github.com/docker-gitea/docker-gitea/credhelper/advice"
	"github.com/docker-gitea/docker-gitea/internal/dockerconfig"
)

// dockerEdit is an edit of Docker's configuration in progress. Changes are
// lines for the user, each beginning with "+" or "-", without secrets.
type dockerEdit struct {
	*dockerconfig.Edit
	// force replaces another helper.
	force   bool
	changes []string
}

// openDockerConfig begins an edit of Docker's configuration.
func (h *helper) openDockerConfig() (*dockerEdit, error) {
	dir, err := dockerconfig.Dir(h.Getenv)
	if err != nil {
		return nil, err
	}
	edit, err := dockerconfig.OpenEdit(dir)
	if err != nil {
		return nil, err
	}
	h.hidden.AddJSON(edit.Bytes())
	return &dockerEdit{Edit: edit}, nil
}

// set notes the old value, if there is one, and the new.
func (e *dockerEdit) set(value string, keys ...string) error {
	if before, exists := e.Get(keys...); exists {
		e.note("-", before, keys)
	}
	e.note("+", value, keys)
	_, err := e.Set(value, keys...)
	return err
}

// remove removes as many parents as are said, if nothing else is in them.
func (e *dockerEdit) remove(shown string, parents int, keys ...string) error {
	e.note("-", shown, keys)
	return e.Remove(parents, keys...)
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

// serve makes Docker ask us for a registry. The logins of that registry that
// the file holds in the clear, under whatever spelling, are removed, as "docker
// login" would: Docker no longer reads them.
func (e *dockerEdit) serve(key string) error {
	current, _ := e.Get(dockerconfig.KeyHelpers, key)
	if current != "" && current != helperName && !e.force {
		return advice.Give(fmt.Errorf("docker-credential-%s is set for %s", current, key), "replace it with --force")
	}
	if current != helperName {
		if err := e.set(helperName, dockerconfig.KeyHelpers, key); err != nil {
			return err
		}
	}
	for _, address := range e.Plain() {
		if other, err := dockerconfig.Key(address); err != nil || other != key {
			continue
		}
		if err := e.redact(address); err != nil {
			return err
		}
	}
	return nil
}

// redact removes the secrets of an entry of "auths", and leaves the rest.
func (e *dockerEdit) redact(address string) error {
	for _, secret := range dockerconfig.SecretKeys {
		if text, _ := e.Get(dockerconfig.KeyAuths, address, secret); text == "" {
			continue
		}
		if err := e.remove("[redacted]", 0, dockerconfig.KeyAuths, address, secret); err != nil {
			return err
		}
	}
	return nil
}

// serveAll makes Docker ask us for every host that has no helper of its own.
func (e *dockerEdit) serveAll() error {
	current, _ := e.Get(dockerconfig.KeyStore)
	if current == helperName {
		return nil
	}
	if current != "" && !e.force {
		return advice.Give(fmt.Errorf("docker-credential-%s is set for every host", current), "replace it with --force")
	}
	return e.set(helperName, dockerconfig.KeyStore)
}

// release undoes serve.
func (e *dockerEdit) release(key string) error {
	if current, _ := e.Get(dockerconfig.KeyHelpers, key); current != helperName {
		return nil
	}
	return e.remove(helperName, 1, dockerconfig.KeyHelpers, key)
}

// releaseAll undoes serveAll.
func (e *dockerEdit) releaseAll() error {
	if current, _ := e.Get(dockerconfig.KeyStore); current != helperName {
		return nil
	}
	return e.remove(helperName, 0, dockerconfig.KeyStore)
}
