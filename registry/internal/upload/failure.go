package upload

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
)

// passing reports a failure that may be gone at the next attempt.
func (o outcome) passing() bool {
	if o.status != 0 {
		return registry.TemporaryStatus(o.status)
	}
	return registry.Temporary(o.err)
}

// lost counts a failure, and begins anew.
func (u upload) lost() upload {
	u.failures++
	u.tries++
	if u.failures > u.retries {
		return u.to(stepFailed)
	}
	u.wait = backoff
	return u.anew()
}

// failed decides after an answer that is no success, or none at all.
func (u upload) failed(o outcome) upload {
	u.tries++
	if o.err == nil {
		u.err = o.doubt
	}
	if errors.Is(o.err, registry.ErrSource) {
		return u.to(stepFailed) // what reads from a registry has tried again for itself
	}
	if o.status == http.StatusRequestEntityTooLarge && !errors.Is(o.err, registry.ErrQuota) {
		return u.tooLarge(o)
	}
	if o.tooSlow() && u.shrinks(o) {
		u.slow = true
		return u.smaller(o)
	}
	if u.failures++; u.failures > u.retries {
		return u.to(stepFailed)
	}
	switch {
	case errors.Is(o.err, registry.ErrDigestMismatch):
		// Once, a body may have been mangled on the way.
		if u.mismatches++; u.mismatches > 1 {
			return u.to(stepFailed)
		}
		return u.anew()
	case errors.Is(o.err, registry.ErrUploadUnknown):
		return u.restart()
	case u.location != "" && o.status == http.StatusRequestedRangeNotSatisfiable:
		return u.to(stepQuery)
	case u.resumed && o.status == http.StatusBadRequest:
		return u.to(stepAbandon)
	case u.location != "" && o.status == http.StatusNotFound:
		// Whatever the text, the session is of no use. Distribution answers
		// BLOB_UPLOAD_INVALID when it cannot go on where it said.
		return u.to(stepAbandon)
	case !o.passing():
		return u.to(stepFailed)
	}
	u.wait = o.wait()
	u.crowded = u.crowded || u.failures > 1 && o.sent > 0 && o.cut()
	if u.cutAgain(o) {
		return u.shrink(o.sent).again(o)
	}
	return u.again(o)
}

// wait is what the server asks for, or else the client's backoff.
func (o outcome) wait() time.Duration {
	if answer, ok := errors.AsType[*registry.Error](o.err); ok && answer.RetryAfter > 0 {
		return answer.RetryAfter
	}
	return backoff
}

// cut reports a connection that ended without an answer, or with that of a proxy
// which stopped reading: Caddy's to a request that takes too long is 502.
func (o outcome) cut() bool {
	answer, answered := errors.AsType[*registry.Error](o.err) // perhaps to the question for a token
	stopped := answered && o.status == http.StatusBadGateway && answer.By.Foreign() && o.sent < o.body && o.took >= leastLimit
	return o.status == 0 && !answered || stopped
}

// tooSlow reports the answers to a request that took longer than something in
// front of the registry waits.
func (o outcome) tooSlow() bool {
	switch o.status {
	case http.StatusRequestTimeout, fronts.StatusClientClosed, http.StatusGatewayTimeout, fronts.StatusCloudflareTimeout:
		return true
	}
	return false
}

// shrinks reports that a request which had begun can be made smaller.
func (u upload) shrinks(o outcome) bool {
	return o.sent > 0 && o.body > minChunkSize && (u.chunk == 0 || u.chunk > minChunkSize)
}

// smaller makes requests that take half the time of the one which took too long,
// at most. It counts as no failure: each time the size is less.
func (u upload) smaller(o outcome) upload {
	u = u.shrink(max(o.sent/2, 1))
	u.limited, u.refusal, u.wait = true, o.err, o.wait()
	return u.again(o)
}

// again is the step after a passing failure of u.step.
func (u upload) again(o outcome) upload {
	everything := o.body > 0 && o.sent == o.body || o.body == 0
	switch u.step {
	case stepStream, stepChunk:
		return u.to(stepQuery)
	case stepSingle:
		// A gateway that gave up waiting, or a connection lost after the last
		// byte: the registry may have finished all the same.
		if everything && o.status != http.StatusInternalServerError {
			return u.to(stepVerify)
		}
		return u.to(u.first())
	case stepCommit:
		if everything {
			return u.to(stepVerify)
		}
		return u.to(stepQuery)
	case stepStart, stepQuery, stepVerify, stepAbandon, stepDone, stepFailed:
	}
	return u
}

// tooLarge makes smaller requests, down to a size below which it is no use. It
// counts as no failure: each time the size is less.
func (u upload) tooLarge(o outcome) upload {
	refused := max(o.body, o.sent)
	if u.least > 0 && refused <= u.least {
		u.err = fmt.Errorf("%w; the registry wants parts of at least %d bytes", o.err, u.least)
		return u.to(stepFailed)
	}
	limit := refused
	if u.chunk > 0 {
		limit = min(limit, u.chunk)
	}
	if limit <= minChunkSize {
		return u.to(stepFailed)
	}
	u = u.shrink(limit)
	u.limited, u.refusal = true, o.err
	if u.offset > 0 {
		return u.to(stepQuery) // what was refused did not harm what is there
	}
	return u.anew()
}

// anew restarts after removing the session, if there is one.
func (u upload) anew() upload {
	u.inherited = false
	if u.location != "" {
		return u.to(stepAbandon)
	}
	return u.restart()
}

// niceChunks are the limits that people configure, largest first. Cloudflare's
// free plan allows 100 MB.
var niceChunks = []int64{512 << 20, 95 << 20, 48 << 20, 16 << 20, 8 << 20, 4 << 20, 2 << 20, minChunkSize}

// shrink sets a chunk size below limit and below the one before, unless that is
// the smallest already.
func (u upload) shrink(limit int64) upload {
	if u.chunk > 0 {
		limit = min(limit, u.chunk)
	}
	for _, size := range niceChunks {
		if size < limit {
			u.chunk = size
			return u
		}
	}
	u.chunk = cmp.Or(min(u.chunk, minChunkSize), minChunkSize)
	return u
}

// maxCuts is how often a large request may break off before smaller ones are
// tried, wherever it broke off: a proxy that answers 413 early and closes may
// be seen only as a connection that fails.
const maxCuts = 3

// cutAgain reports whether the next requests had better be smaller. Breaking
// off at about the same place as the last time is the sign of a proxy that
// refuses large bodies by closing.
//
// After about the same time as the last time, but elsewhere, it is the sign of
// one that limits the time of a request. No limit of use is below leastLimit.
func (u *upload) cutAgain(o outcome) bool {
	if !o.cut() {
		return false
	}
	last, lastTook := u.lastCut, u.lastTook
	u.lastCut, u.lastTook = o.sent, o.took
	if o.body <= minChunkSize || u.chunk > 0 && u.chunk <= minChunkSize {
		return false
	}
	switch {
	case last > 2*minChunkSize && near(o.sent, last):
		u.limited = true
	case lastTook >= leastLimit && near(int64(o.took), int64(lastTook)):
		u.limited, u.slow = true, true
	}
	return u.limited || u.failures >= maxCuts
}

// leastLimit is the shortest time after which requests are taken to be ended on
// purpose.
const leastLimit = 5 * time.Second

func near(a, b int64) bool { return a > b-b/16 && a < b+b/16 }
