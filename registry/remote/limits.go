package remote

import (
	"cmp"
	"sync"

	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// limits are the ways in which one registry takes blobs, found out by uploads and
// kept for the client. It is safe for concurrent use.
type limits struct {
	traits *wire.Traits

	// mu guards the fields below.
	mu sync.Mutex
	// ways are those that were found out; kept is what the cache has of them.
	ways, kept ways
}

// newLimits begins with what the cache has.
func newLimits(t *wire.Traits, known cache.Host) *limits {
	w := ways{chunk: known.Chunk, jobs: known.Jobs, noSingle: known.NoSingle, noExpect: known.NoExpect}
	return &limits{traits: t, ways: w, kept: w}
}

// blobs are the ways in which the registry takes blobs. A chunk size that was
// asked for is one.
func (l *limits) blobs(chunk int64) ways {
	gitea := l.traits.Gitea()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.ways
	w.chunk = cmp.Or(chunk, w.chunk)
	w.gitea = gitea
	return w
}

// learn keeps what an upload found out, and reports whether that is a limit
// which was not known. jobs is how many blobs travelled side by side at its end.
func (l *limits) learn(u upload, jobs int) (limit bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ways.noSingle = l.ways.noSingle || u.noSingle
	l.ways.noExpect = l.ways.noExpect || u.noExpect
	limit = u.step == stepDone && u.limited && u.chunk != l.ways.chunk
	if limit {
		l.ways.chunk = u.chunk
		if u.slow {
			l.ways.jobs = jobs
		}
	}
	return limit
}

// fresh gives the ways that are known, once for each time that more is known of
// them than the cache has.
func (l *limits) fresh() (found cache.Host, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh = l.ways != l.kept
	l.kept = l.ways
	return cache.Host{Chunk: l.ways.chunk, Jobs: l.ways.jobs, NoSingle: l.ways.noSingle, NoExpect: l.ways.noExpect}, fresh
}

// expects reports whether the registry is to be asked before a body is sent.
func (l *limits) expects() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ways.noExpect
}

// unexpecting: the registry let the time for "100 Continue" pass. A Gitea is only
// busy then, and answers the next one: it is worth asking.
func (l *limits) unexpecting() {
	gitea := l.traits.Gitea()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ways.noExpect = l.ways.noExpect || !gitea
}
