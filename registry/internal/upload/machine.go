package upload

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
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
	// crowded: its connection was cut again before it got any further, so that it
	// had better share the line with fewer.
	crowded bool
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

// first is the step that a new try begins with.
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

// begun reports whether the registry has just begun the session. Asking whether it
// takes the first body costs a round trip, and tells nothing new but its size: who
// refuses that says so while the body travels.
func (u upload) begun() bool { return u.location != "" && u.offset == 0 && !u.resumed && !u.inherited }

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
	// Gitea refuses a session that was cut by a 500 without a word: it is the cut
	// that is to be told.
	if cut := u.resumed && u.err != nil && o.status == http.StatusInternalServerError; o.err != nil && !cut {
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
