package remote

import (
	"cmp"
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

// traits are what a registry is and does, found out once and kept for the
// client. Whoever wants to know asks here. It is safe for concurrent use.
type traits struct {
	// mu guards the fields below.
	mu       sync.Mutex
	software software
	// ways are those that were found out; kept is what the cache has of them.
	ways, kept ways
	// ociOnly: the registry refuses Docker's media types.
	ociOnly bool
}

// challenged learns from the challenges of a 401. What only a Gitea says counts
// for more than what a proxy before it may have said.
func (t *traits) challenged(offered []response.Challenge) {
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

func (t *traits) found(s software) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.software != softwareGitea {
		t.software = s
	}
}

// gitea reports whether the registry is known to be a Gitea or Forgejo.
func (t *traits) gitea() bool { return t.is(softwareGitea) }

func (t *traits) is(s software) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.software == s
}

// met reports that it is known what the registry is.
func (t *traits) met() bool { return !t.is(softwareUnknown) }

// foldable reports a tag that a registry may keep as another.
func foldable(tag string) bool { return strings.ToLower(tag) != tag }

// stored is a tag as the registry keeps it.
func (t *traits) stored(tag string) string {
	if t.gitea() {
		return strings.ToLower(tag) // routers/api/packages/container/manifest.go
	}
	return tag
}

// blobs are the ways in which the registry takes blobs. A chunk size that was
// asked for is one.
func (t *traits) blobs(chunk int64) ways {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.ways
	w.chunk = cmp.Or(chunk, w.chunk)
	w.gitea = t.software == softwareGitea
	return w
}

// learn keeps what an upload found out, and reports whether that is a limit
// which was not known. jobs is how many blobs travelled side by side at its end.
func (t *traits) learn(u upload, jobs int) (limit bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways.noSingle = t.ways.noSingle || u.noSingle
	t.ways.noExpect = t.ways.noExpect || u.noExpect
	limit = u.step == stepDone && u.limited && u.chunk != t.ways.chunk
	if limit {
		t.ways.chunk = u.chunk
		if u.slow {
			t.ways.jobs = jobs
		}
	}
	return limit
}

// recall begins with what the cache has.
func (t *traits) recall(w ways) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways, t.kept = w, w
}

// fresh gives the ways that are known, once for each time that more is known of
// them than the cache has.
func (t *traits) fresh() (w ways, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh = t.ways != t.kept
	t.kept = t.ways
	return t.ways, fresh
}

// expects reports whether the registry is to be asked before a body is sent.
func (t *traits) expects() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ways.noExpect
}

// unexpecting: the registry let the time for "100 Continue" pass. A Gitea is only
// busy then, and answers the next one: it is worth asking.
func (t *traits) unexpecting() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ways.noExpect = t.ways.noExpect || t.software != softwareGitea
}

// wantsOCI reports whether the registry is known to refuse Docker's media types.
func (t *traits) wantsOCI() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ociOnly
}

func (t *traits) refusedDocker() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ociOnly = true
}
