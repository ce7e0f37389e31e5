package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/fronts"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// step is what the upload of a blob does next.
type step int

const (
	// stepSingle is POST ?mount=D&digest=D with the whole body. It leaves no
	// session behind; on Gitea a blob that any readable package holds is
	// answered before a byte is sent.
	stepSingle step = iota
	// stepStart is POST, with ?mount=D where the digest is known: 201 when the
	// registry has the blob, else 202 with a session.
	stepStart
	// stepStream is one PATCH with everything, whose end is not known yet.
	stepStream
	// stepChunk is a PATCH with a Content-Range.
	stepChunk
	// stepCommit is PUT ?digest=D, with what the session still lacks.
	stepCommit
	// stepQuery is GET on the session: how much does it hold?
	stepQuery
	// stepVerify is HEAD on the blob: did it arrive after all?
	stepVerify
	// stepAbandon is DELETE on the session, and then another begins.
	stepAbandon
	stepDone
	stepFailed
)

func (s step) String() string {
	return [...]string{
		"upload blob", "start upload", "stream blob", "upload chunk", "finish upload",
		"ask upload", "find blob", "cancel upload", "done", "failed",
	}[s]
}

// ends reports whether the answer to s may be that the blob is there.
func (s step) ends() bool { return s == stepSingle || s == stepStart || s == stepCommit }

// ways are the ways in which a registry takes blobs, as far as they are known.
type ways struct {
	// chunk is the largest request body in bytes; 0 means no limit.
	chunk int64
	// noSingle: the registry does not know uploads in one request.
	noSingle bool
	// noExpect: the registry does not answer "Expect: 100-continue" in time.
	noExpect bool
	// gitea: the registry is a Gitea or Forgejo. It gathers the body of a single
	// request in memory, up to 32 MiB, but writes that of a session to its disk
	// as it comes; and it answers ?mount=D wherever it has the blob.
	gitea bool
	// jobs is how many blobs may travel side by side where something limits the
	// time of a request: each gets its share of the line. 0 means any number.
	jobs int
}

// maxGathered is the largest blob for Gitea to gather in memory. Up to this
// size one request less is worth more.
const maxGathered = 4 << 20

// upload is the state of one blob on its way into the registry. It is a value:
// next makes the following state from an outcome, without any I/O.
//
// It ends whatever the registry answers, since each step makes something less
// that never grows again: what is still to be learned of the registry, the size
// of a request, the bytes beyond best, and the failures that are left until
// there is progress. Between two failures the steps have an order, and chunks
// advance in the content. TestUploadEnds has this as a measure, and walks all
// answers to all steps.
type upload struct {
	ways
	step step
	// digest and size describe the blob; size is -1 until both are known.
	digest digest.Digest
	size   int64

	// looked: the registry was asked whether it has the blob, which a single
	// request does by itself. looking: stepVerify is that question.
	looked, looking bool

	// claim, when not nil, is an answer that the blob is there which did not
	// name it; stepVerify then decides.
	claim error

	// location is the session's address; empty without one.
	location string
	// offset is how many bytes the session is known to hold.
	offset int64
	// least is the smallest chunk that the session takes, but for the last.
	least int64
	// inherited: another process left the session behind.
	inherited bool
	// resumed: the session is used again after a failure, which Gitea refuses
	// when a connection was cut inside a body.
	resumed bool

	// best is the furthest offset reached. failures counts the failed tries
	// since then, tries all of them; more than retries failures end the upload.
	best                     int64
	failures, tries, retries int
	// mismatches counts the answers that the digest is wrong.
	mismatches int
	// lastCut is where the connection was cut the last time, and lastTook how
	// long the request had taken by then.
	lastCut  int64
	lastTook time.Duration
	// limited: something refuses large requests; slow: not for their size, but
	// for the time that they take. refusal is its answer, where it gave one.
	limited, slow bool
	refusal       error
	// wait is how long to wait before the step: the server's wish, or -1 for
	// the client's backoff.
	wait time.Duration
	// err is the last failure.
	err error
	// present: the registry had the blob.
	present bool
}

// backoff as a value of upload.wait.
const backoff time.Duration = -1

// outcome is what came of a step.
type outcome struct {
	// status is that of the answer, 0 without one; err is the failure, an
	// [*registry.Error] for an answer that is no success.
	status int
	err    error
	// location and held are those of the answer: the session's address, and
	// how many bytes it says to hold, -1 where it does not say.
	location string
	held     int64
	// minChunk is OCI-Chunk-Min-Length.
	minChunk int64
	// named: the answer names the content by its digest. doubt is the error
	// that an answer is which should have.
	named bool
	doubt error
	// body is how many bytes the request carried, sent how many of them left.
	body, sent int64
	// took is how long it took until then.
	took time.Duration
	// digest and size are those of the content, as far as known by now.
	digest digest.Digest
	size   int64
}

// What a registry does that none should. The first is of an answer that no
// registry has to give otherwise, but that all of them do.
var (
	errUnnamed      = errors.New("the answer names no digest, and the registry does not have the blob")
	errBeyond       = errors.New("the registry holds more of the upload than there is")
	errNothingTaken = errors.New("the registry takes nothing of the upload")
)

// minChunkSize is the smallest chunk tried after "too large".
const minChunkSize = 1 << 20

// begin is the first state of a blob. size is -1 when it is not known yet.
func begin(d digest.Digest, size int64, retries int, w ways) upload {
	u := upload{digest: d, size: size, retries: retries, ways: w}
	if u.noSingle {
		return u.look(stepStart)
	}
	return u.to(u.first())
}

// resume makes u begin with a session that another process left behind.
func (u upload) resume(location string, offset int64) upload {
	u.location, u.offset, u.inherited = location, offset, true
	return u.to(stepQuery)
}

// first is the step with which a new try begins.
func (u upload) first() step {
	if u.size >= 0 && u.fits(u.size) && !u.noSingle && (!u.gitea || u.size <= maxGathered) {
		return stepSingle
	}
	return stepStart
}

// look asks whether the registry has the blob, once, before it is sent by
// another way than a single request. (Gitea answers ?mount= with that; others
// want to be told from where.)
func (u upload) look(otherwise step) upload {
	if u.looked || u.size < 0 || u.gitea {
		return u.to(otherwise)
	}
	u.looked, u.looking = true, true
	return u.to(stepVerify)
}

// part is the size of a chunk. Where something in front of the registry refuses
// what the registry wants at least, tooLarge ends the upload.
func (u upload) part() int64 { return max(u.chunk, u.least) }

func (u upload) fits(size int64) bool { return u.chunk == 0 || size <= u.part() }

// next decides what follows the outcome of u.step.
func (u upload) next(o outcome) upload {
	u.wait = 0
	if o.size >= 0 && o.digest != "" {
		u.digest, u.size = o.digest, o.size
	}
	if o.status == http.StatusExpectationFailed && !u.noExpect {
		u.noExpect = true // RFC 9110, section 10.1.1: the same without Expect
		return u
	}
	if o.err != nil {
		u.err = o.err
	}
	switch u.step {
	case stepSingle:
		return u.afterSingle(o)
	case stepStart:
		return u.afterStart(o)
	case stepStream, stepChunk:
		return u.afterPatch(o)
	case stepCommit:
		return u.afterCommit(o)
	case stepQuery:
		return u.afterQuery(o)
	case stepVerify:
		return u.afterVerify(o)
	case stepAbandon:
		return u.restart()
	case stepDone, stepFailed:
	}
	return u
}

func (u upload) afterSingle(o outcome) upload {
	switch o.status {
	case http.StatusCreated, http.StatusOK, http.StatusNoContent:
		return u.arrived(o, o.sent == 0 && u.size > 0)
	case http.StatusAccepted:
		// Spec: a registry without single-request uploads answers 202 and has
		// ignored the body.
		u.noSingle = true
		return u.afterStart(o)
	case http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		u.noSingle = true
		return u.to(stepStart)
	}
	return u.failed(o)
}

// arrived ends the upload after an answer that names the content. Where one
// only says that all is well, the registry is asked for the blob.
func (u upload) arrived(o outcome, present bool) upload {
	u.present = present
	if o.named {
		return u.to(stepDone)
	}
	u.claim = cmp.Or(o.doubt, errUnnamed)
	return u.to(stepVerify)
}

func (u upload) afterStart(o outcome) upload {
	switch {
	case o.status == http.StatusCreated && u.size >= 0: // it was asked for by its digest
		return u.arrived(o, true)
	case o.status == http.StatusAccepted && o.location != "":
		u.location, u.offset, u.resumed, u.least = o.location, 0, false, o.minChunk
		return u.look(u.send())
	}
	return u.failed(o)
}

// send is the step that brings the session nearer to its end.
func (u upload) send() step {
	switch {
	case u.size >= 0 && (u.offset == u.size || u.offset == 0 && u.fits(u.size)):
		return stepCommit
	case u.chunk > 0 || u.offset > 0:
		return stepChunk
	}
	return stepStream
}

// goOn sends what the session lacks.
func (u upload) goOn() upload {
	switch {
	case u.size < 0 || u.offset <= u.size:
		return u.to(u.send())
	case u.inherited: // it was that of other content
		return u.anew()
	}
	u.err = errBeyond
	return u.lost()
}

func (u upload) afterPatch(o outcome) upload {
	switch o.status {
	case http.StatusAccepted, http.StatusNoContent, http.StatusCreated: // the last is AWS ECR's
	default:
		return u.failed(o)
	}
	if o.location != "" {
		u.location = o.location
	}
	before := u.offset
	u.offset += o.body
	// A registry may have taken a part of it. It has taken neither nothing nor
	// more, whatever it says: Forgejo and Gitea before 1.24.2 count one byte
	// more, zot the last chunk alone, and AWS ECR always the first. "0-0" is what
	// many say for nothing, and GHCR always.
	if o.held > max(before, 1) && o.held < u.offset {
		u.offset = o.held
	}
	u.resumed = false
	if o.body > 0 && u.offset > u.best {
		u.best, u.failures, u.err = u.offset, 0, nil
	}
	if u.size < 0 && u.offset == before {
		u.err = errNothingTaken
		return u.lost()
	}
	return u.goOn()
}

func (u upload) afterCommit(o outcome) upload {
	switch o.status {
	case http.StatusCreated, http.StatusNoContent, http.StatusOK, http.StatusAccepted:
		return u.arrived(o, false)
	}
	return u.failed(o)
}

func (u upload) afterQuery(o outcome) upload {
	switch {
	case o.status == http.StatusNoContent, o.status == http.StatusAccepted, o.status == http.StatusOK:
	case errors.Is(o.err, registry.ErrUploadUnknown), o.status == http.StatusNotFound:
		return u.restart()
	case o.status != http.StatusInternalServerError && registry.Temporary(o.err):
		return u.failed(o) // nothing is known of the session yet
	default:
		return u.anew()
	}
	if o.location != "" {
		u.location = o.location
	}
	held := max(o.held, 0)
	if held == 1 {
		held = 0 // "0-0", as above
	}
	if held > 0 && (held == u.offset+1 || u.size >= 0 && held == u.size+1) {
		held-- // off by one, as above
	}
	if held == 0 || u.resumed || u.size >= 0 && held > u.size {
		// Nothing to go on with; or Gitea's poisoned session, which keeps
		// telling the old offset while it refuses everything.
		return u.anew()
	}
	u.offset, u.resumed = held, true
	return u.goOn()
}

func (u upload) afterVerify(o outcome) upload {
	switch {
	case o.status == http.StatusOK && o.named:
		u.present = u.present || u.looking
		return u.to(stepDone)
	case u.looking && o.passing() && u.failures < u.retries:
		return u.failed(o)
	case u.looking && (o.status != 0 || o.passing()):
		// It was worth asking, and no more: what is wrong shows in the upload.
		u.err = nil
		if u.location == "" {
			return u.to(stepStart)
		}
		return u.goOn()
	case o.passing():
		return u.failed(o)
	case u.claim != nil:
		u.err = u.claim
		return u.to(stepFailed)
	case o.status == 0:
		return u.failed(o)
	case u.location != "":
		return u.to(stepQuery)
	}
	return u.restart()
}

// restart begins anew, with nothing in the registry.
func (u upload) restart() upload {
	u.location, u.offset, u.least = "", 0, 0
	u.resumed, u.inherited = false, false
	return u.to(u.first())
}

// to takes the step s. Why the registry is asked for a blob is of no use after
// the answer.
func (u upload) to(s step) upload {
	if u.step = s; s != stepVerify {
		u.looking, u.claim = false, nil
	}
	return u
}

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

// attempt performs u.step; it is the driver's only way to the registry.
type attempt func(ctx context.Context, u upload) outcome

// drive takes u to its end. report is called before each new try; most wait.
func drive(ctx context.Context, u upload, do attempt, delay func(n int) time.Duration, report func(u upload, wait time.Duration)) (upload, error) {
	var wait time.Duration
	for {
		switch u.step {
		case stepDone:
			return u, nil
		case stepFailed:
			return u, u.err
		case stepSingle, stepStart, stepStream, stepChunk, stepCommit, stepQuery, stepVerify, stepAbandon:
		}
		if err := wire.Pause(ctx, wait); err != nil {
			return u, err
		}
		o := do(ctx, u)
		if err := ctx.Err(); err != nil {
			if o.err == nil {
				u = u.next(o) // it may have begun a session
			}
			return u, err
		}
		tries := u.tries
		if u = u.next(o); u.step == stepFailed && u.err == nil {
			u.err = fmt.Errorf("unexpected answer %d", o.status)
		}
		if wait = u.wait; wait == backoff {
			wait = delay(u.failures)
		}
		if u.tries > tries && u.step != stepFailed {
			report(u, wait)
		}
	}
}
