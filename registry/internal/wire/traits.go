package wire

import (
	"strings"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

// software is what a registry is, as far as that matters.
type software int

const (
	// softwareUnknown: it has not been met, or has not said.
	softwareUnknown software = iota
	// softwareGitea: Gitea or Forgejo. They fold tags to lower case, have names
	// of their own kind below an owner, mount a blob from wherever they have it,
	// and take no layer that they do not hold.
	softwareGitea
	// softwareOther: some other registry, with the specification's rules.
	softwareOther
)

// Traits are what a registry is and does, found out once and kept for the
// client. Every room asks here. It is safe for concurrent use.
type Traits struct {
	// mu guards the fields below.
	mu       sync.Mutex
	software software
	// ociOnly: the registry refuses Docker's media types.
	ociOnly bool
}

// Challenged learns from the challenges of a 401. What only a Gitea says counts
// for more than what a proxy before it may have said.
func (t *Traits) Challenged(offered []response.Challenge) {
	for _, c := range offered {
		if c.ByGitea() {
			t.found(softwareGitea)
			return
		}
	}
	if len(offered) > 0 {
		t.found(softwareOther)
	}
}

func (t *Traits) found(s software) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.software != softwareGitea {
		t.software = s
	}
}

// Gitea reports whether the registry is known to be a Gitea or Forgejo.
func (t *Traits) Gitea() bool { return t.is(softwareGitea) }

func (t *Traits) is(s software) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.software == s
}

// Met reports that it is known what the registry is.
func (t *Traits) Met() bool { return !t.is(softwareUnknown) }

// Foldable reports a tag that a registry may keep as another.
func Foldable(tag string) bool { return strings.ToLower(tag) != tag }

// Stored is a tag as the registry keeps it.
func (t *Traits) Stored(tag string) string {
	if t.Gitea() {
		return strings.ToLower(tag) // routers/api/packages/container/manifest.go
	}
	return tag
}

// WantsOCI reports whether the registry is known to refuse Docker's media types.
func (t *Traits) WantsOCI() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ociOnly
}

// RefusedDocker notes that.
func (t *Traits) RefusedDocker() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ociOnly = true
}
