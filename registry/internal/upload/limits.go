package upload

import (
	"cmp"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Limits are the ways in which one registry takes blobs, found out by uploads, kept
// for the client, and remembered by its cache. They are safe for concurrent use.
type Limits struct {
	rate   *Rate // that the user wants, nil for none
	traits *wire.Traits
	cache  *cache.Cache
	host   string

	// mu guards the fields below.
	mu sync.Mutex
	// ways are those that were found out; kept is what the cache has of them.
	ways, kept ways
}

// NewLimits begins with what a cache has of a host. Nothing is sent faster than rate,
// which may be nil.
func NewLimits(t *wire.Traits, c *cache.Cache, host string, rate *Rate) *Limits {
	known := c.Host(host, time.Now())
	w := ways{chunk: known.Chunk, jobs: known.Jobs, noSingle: known.NoSingle, noExpect: known.NoExpect}
	return &Limits{rate: rate, traits: t, cache: c, host: host, ways: w, kept: w}
}

// Part is the largest body of a request, in bytes, where asked for or known; 0 means
// no limit.
func (l *Limits) Part(asked int64) int64 { return l.blobs(asked).chunk }

// Jobs is how many blobs may travel side by side; 0 means any number.
func (l *Limits) Jobs() int { return l.blobs(0).jobs }

// blobs are the ways in which the registry takes blobs. A chunk size that was
// asked for is one.
func (l *Limits) blobs(chunk int64) ways {
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
func (l *Limits) learn(u upload, jobs int) (limit bool) {
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

// remember has the cache keep the ways that are known, once for each time that more
// is known of them than it has.
func (l *Limits) remember() {
	l.mu.Lock()
	now := l.ways
	fresh := now != l.kept
	l.kept = now
	l.mu.Unlock()
	if !fresh {
		return
	}
	l.cache.KeepHost(l.host, cache.Host{Chunk: now.chunk, Jobs: now.jobs, NoSingle: now.noSingle, NoExpect: now.noExpect}, time.Now())
}

// expects reports whether the registry is to be asked before a body is sent.
func (l *Limits) expects() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.ways.noExpect
}

// unexpecting: the registry let the time for "100 Continue" pass. A Gitea is only
// busy then, and answers the next one: it is worth asking.
func (l *Limits) unexpecting() {
	gitea := l.traits.Gitea()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ways.noExpect = l.ways.noExpect || !gitea
}
