package credhelper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/docker-gitea/docker-gitea/internal/ownfile"
	"github.com/docker-gitea/docker-gitea/registry"
)

// loginKind says what a stored login is.
type loginKind string

const (
	// kindToken is a personal access token, or a password.
	kindToken loginKind = "token"
	// kindOAuth is an OAuth session: a refresh token and an access token.
	kindOAuth loginKind = "oauth"
)

// entry is what the index knows of one host's login. Nothing in it is secret.
type entry struct {
	Username string    `json:"username"`
	Kind     loginKind `json:"kind"`
	// Storage names the store that holds the secrets.
	Storage string `json:"storage"`
	// Address is what Docker calls the host, where that is not its name:
	// Docker Hub's.
	Address string `json:"address,omitempty"`
	// Settings are those the host was logged in with.
	Settings settings `json:"settings,omitzero"`
	// Made says that the login made the access token, so that the logout may
	// revoke it.
	Made bool `json:"made,omitempty"`
	// Session is set for OAuth alone.
	Session *session `json:"session,omitempty"`
}

// session is what the index knows of an OAuth session.
type session struct {
	TokenURL string `json:"tokenURL"`
	ClientID string `json:"clientID"`
	// Issued and Expiry bound the life of the access token.
	Issued time.Time `json:"issued"`
	Expiry time.Time `json:"expiry"`
	// Minted are the SHA-256 sums of the last access tokens handed out, by
	// which they are known when Docker wants them stored.
	Minted []string `json:"minted,omitempty"`
}

const mintedKept = 16

// mint notes an access token among those handed out.
func (s *session) mint(access registry.Secret) {
	s.Minted = append(s.Minted, fingerprint(access))
	s.Minted = slices.Clone(s.Minted[max(0, len(s.Minted)-mintedKept):])
}

func fingerprint(secret registry.Secret) string {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	return hex.EncodeToString(sum[:])
}

// index is all logins, by host. It is the file hosts.json.
type index map[string]entry

// indexFile is the form of hosts.json.
type indexFile struct {
	Version int   `json:"version"`
	Hosts   index `json:"hosts"`
}

const indexVersion = 1

// errNoDirectory means that nothing can be kept on this machine.
var errNoDirectory = errors.New("there is no home directory: set " + envDir)

func (h *helper) indexPath() string { return filepath.Join(h.dir, "hosts.json") }

// loadIndex reads the index. Without one there are no logins.
func (h *helper) loadIndex() (index, error) {
	if h.dir == "" {
		return index{}, nil
	}
	data, err := ownfile.ReadPrivate(h.indexPath())
	if errors.Is(err, fs.ErrNotExist) {
		return index{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	h.hidden.AddJSON(data)
	var file indexFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read index: %s: %w", h.indexPath(), err)
	}
	if file.Version != indexVersion {
		return nil, fmt.Errorf("read index: %s has version %d, want %d", h.indexPath(), file.Version, indexVersion)
	}
	if file.Hosts == nil {
		file.Hosts = index{}
	}
	return file.Hosts, nil
}

// indexTimeout bounds the wait for other writers, which only replace a file.
const indexTimeout = 10 * time.Second

// updateIndex changes the index, one process at a time.
func (h *helper) updateIndex(ctx context.Context, change func(index)) error {
	unlock, err := h.lock(ctx, "@index", indexTimeout)
	if err != nil {
		return err
	}
	defer unlock()
	logins, err := h.loadIndex()
	if err != nil {
		return err
	}
	change(logins)
	if err := writeJSON(h.indexPath(), indexFile{indexVersion, logins}); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return nil
}
