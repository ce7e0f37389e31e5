package upload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
)

const testDigest = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

func answer(status int, kind error) outcome {
	return outcome{status: status, held: -1, size: -1, err: &registry.Error{Op: "test", Status: status, Kind: kind}}
}

func TestNext(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	single := begin(testDigest, size, 3, ways{})
	stream := begin("", -1, 3, ways{})
	session := func(s step, change func(*upload)) upload {
		u := begin(testDigest, size, 3, ways{noSingle: true})
		u.looked, u.looking = true, false
		u.step, u.location = s, "https://h/v2/o/n/blobs/uploads/1"
		if change != nil {
			change(&u)
		}
		return u
	}
	resumed := func(change func(*upload)) upload {
		u := begin(testDigest, size, 3, ways{chunk: 10 << 20}).resume("https://h/v2/o/n/blobs/uploads/1", 20<<20)
		if change != nil {
			change(&u)
		}
		return u
	}
	chunked := func(offset int64) func(*upload) {
		return func(u *upload) { u.chunk, u.offset = 10<<20, offset }
	}
	bare := func(status int) outcome { return outcome{status: status, held: -1, size: -1} }
	ok := func(status int) outcome { o := bare(status); o.named = true; return o }
	claimed := func(u *upload) { u.claim = errUnnamed }
	cut := outcome{held: -1, size: -1, body: size, sent: size / 2, err: io.ErrUnexpectedEOF}

	for _, tc := range []struct {
		name  string
		from  upload
		o     outcome
		want  step
		check func(u upload) bool
	}{
		{"a known digest goes in one request", single, ok(http.StatusCreated), stepDone, nil},
		{"no byte sent: the registry had it", single, ok(http.StatusCreated), stepDone, func(u upload) bool { return u.present }},
		{"202 to a single request: POST and PUT", single, outcome{status: 202, location: "l", held: -1, size: -1}, stepVerify, func(u upload) bool { return u.noSingle && u.looking }},
		{"no single requests: look before a session is made", begin(testDigest, size, 3, ways{noSingle: true}), ok(http.StatusOK), stepDone, func(u upload) bool { return u.present }},
		{"looked, and it is not there", begin(testDigest, size, 3, ways{noSingle: true}), answer(404, registry.ErrOwnerUnknown), stepStart, func(u upload) bool { return !u.looking && u.err == nil }},
		{"looked within a session, and it is not there", session(stepVerify, func(u *upload) { u.looking = true }), answer(404, registry.ErrOwnerUnknown), stepCommit, nil},
		{"looked within a session, and it is there", session(stepVerify, func(u *upload) { u.looking = true }), ok(http.StatusOK), stepDone, func(u upload) bool { return u.present }},
		{"may not look", session(stepVerify, func(u *upload) { u.looking = true }), answer(403, registry.ErrDenied), stepCommit, nil},
		{"looking fails for now", session(stepVerify, func(u *upload) { u.looking = true }), answer(503, registry.ErrServer), stepVerify, func(u upload) bool { return u.looking }},
		{"Gitea does not gather a large blob", begin(testDigest, size, 3, ways{gitea: true}), outcome{status: 202, location: "l", held: -1, size: -1}, stepCommit, func(u upload) bool { return !u.looked && !u.noSingle }},
		{"Gitea has the large blob", begin(testDigest, size, 3, ways{gitea: true}), ok(http.StatusCreated), stepDone, func(u upload) bool { return u.present }},
		{"Gitea gets a small blob in one request", begin(testDigest, maxGathered, 3, ways{gitea: true}), outcome{status: 201, held: -1, size: -1, sent: maxGathered, named: true}, stepDone, func(u upload) bool { return !u.present }},
		{"405 to a single request", single, answer(405, nil), stepStart, func(u upload) bool { return u.noSingle }},
		{"413 of a proxy: smaller requests", single, func() outcome { o := answer(413, registry.ErrTooLarge); o.body = size; return o }(), stepStart, func(u upload) bool { return u.chunk == 95<<20 && u.failures == 0 }},
		{"413 to the rest of a session: smaller requests, on with it", session(stepChunk, func(u *upload) { u.offset = 20 << 20 }), func() outcome { o := answer(413, registry.ErrTooLarge); o.body = 80 << 20; return o }(), stepQuery, func(u upload) bool { return u.chunk == 48<<20 && u.limited && u.location != "" }},
		{"413 to all of a session", session(stepCommit, nil), func() outcome { o := answer(413, registry.ErrTooLarge); o.body = size; return o }(), stepAbandon, func(u upload) bool { return u.chunk == 95<<20 }},
		{"early 413 seen only as a write error, the third time", func() upload { u := single; u.failures, u.lastCut = 2, 3<<20; return u }(), outcome{held: -1, size: -1, body: size, sent: 1500 << 10, err: syscall.EPIPE}, stepStart, func(u upload) bool { return u.chunk == minChunkSize && !u.limited }},
		{"413 with the body of a full quota", single, answer(413, registry.ErrQuota), stepFailed, nil},
		{"413 to the smallest request", single, func() outcome { o := answer(413, registry.ErrTooLarge); o.body = 1000; return o }(), stepFailed, nil},
		{"403 is final", single, answer(403, registry.ErrQuota), stepFailed, nil},
		{"401 is final", single, answer(401, registry.ErrDenied), stepFailed, nil},
		{"404 owner is final", single, answer(404, registry.ErrOwnerUnknown), stepFailed, nil},
		{"500 with empty body: wait and try again", single, answer(500, registry.ErrServer), stepSingle, func(u upload) bool { return u.wait == backoff && u.failures == 1 }},
		{"a cut: again", single, cut, stepSingle, func(u upload) bool { return u.wait == backoff }},
		{"504 after the last byte: look first", single, func() outcome { o := answer(504, registry.ErrServer); o.body, o.sent = size, size; return o }(), stepVerify, nil},
		{"a source that fails is final", single, outcome{held: -1, size: -1, err: registry.ErrSource}, stepFailed, nil},
		{"504 to the final PUT: look first", session(stepCommit, chunked(size)), answer(504, registry.ErrServer), stepVerify, nil},
		{"504 to a body cut short: ask", session(stepCommit, nil), func() outcome { o := answer(504, registry.ErrServer); o.body, o.sent = size, size/2; return o }(), stepQuery, nil},
		{"all held after a 504: PUT without a body", session(stepQuery, nil), outcome{status: 204, held: size, size: -1}, stepCommit, func(u upload) bool { return u.offset == size }},
		{"500 with empty body to a chunk: ask", session(stepChunk, chunked(10<<20)), answer(500, registry.ErrServer), stepQuery, func(u upload) bool { return u.wait == backoff }},
		{"429: wait, then the same again", single, func() outcome { o := answer(429, registry.ErrRateLimited); o.body = size; return o }(), stepSingle, func(u upload) bool { return u.wait == backoff }},
		{"503 to the start of a session", session(stepStart, nil), answer(503, registry.ErrServer), stepStart, func(u upload) bool { return u.wait == backoff }},
		{"401 after the token was renewed is final", session(stepChunk, chunked(10<<20)), answer(401, registry.ErrUnauthorized), stepFailed, nil},
		{"a source shorter than what the session holds", session(stepChunk, chunked(20<<20)), outcome{status: 202, held: -1, digest: testDigest, size: 15 << 20}, stepAbandon, nil},
		{"the session of another process: ask", resumed(nil), outcome{status: 204, held: 20 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 20<<20 && u.resumed }},
		{"another process's, and the registry got more", resumed(nil), outcome{status: 204, held: 25 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 25<<20 }},
		{"another process's, off by one", resumed(nil), outcome{status: 204, held: 20<<20 + 1, size: -1}, stepChunk, func(u upload) bool { return u.offset == 20<<20 }},
		{"another process's, and it moved", resumed(nil), outcome{status: 204, held: 20 << 20, location: "l2", size: -1}, stepChunk, func(u upload) bool { return u.location == "l2" }},
		{"another process's, all there", resumed(nil), outcome{status: 204, held: size, size: -1}, stepCommit, func(u upload) bool { return u.offset == size }},
		{"another process's, gone", resumed(nil), answer(404, registry.ErrUploadUnknown), stepStart, func(u upload) bool { return u.location == "" && u.offset == 0 }},
		{"another process's, refused", resumed(nil), answer(400, nil), stepAbandon, nil},
		{"another process's, 416", resumed(nil), answer(416, nil), stepAbandon, nil},
		{"another process's, and the server fails", resumed(nil), answer(500, registry.ErrServer), stepAbandon, nil},
		{"another process's, and the proxy fails: ask again", resumed(nil), answer(502, registry.ErrServer), stepQuery, func(u upload) bool { return u.wait == backoff && u.failures == 1 }},
		{"another process's, and no answer: ask again", resumed(nil), outcome{held: -1, size: -1, err: io.ErrUnexpectedEOF}, stepQuery, func(u upload) bool { return u.wait == backoff }},
		{"another process's, nothing there", resumed(nil), ok(http.StatusNoContent), stepAbandon, nil},
		{"another process's, poisoned", resumed(func(u *upload) { u.step, u.resumed = stepChunk, true }), answer(500, registry.ErrServer), stepQuery, nil},
		{"another process's, of other content", resumed(func(u *upload) { u.step, u.resumed, u.offset = stepCommit, true, size }), answer(400, registry.ErrDigestMismatch), stepAbandon, nil},
		{"an unknown digest needs a session", stream, outcome{status: 202, location: "l", held: -1, size: -1}, stepStream, nil},
		{"a mount", session(stepStart, nil), ok(http.StatusCreated), stepDone, func(u upload) bool { return u.present }},
		{"a stream that ended", func() upload { u := stream; u.step, u.location = stepStream, "l"; return u }(), outcome{status: 202, held: size, body: size, digest: testDigest, size: size}, stepCommit, func(u upload) bool { return u.offset == size }},
		{"a stream that was cut: ask", func() upload { u := stream; u.step, u.location = stepStream, "l"; return u }(), cut, stepQuery, nil},
		{"nothing held: another session", session(stepQuery, nil), ok(http.StatusNoContent), stepAbandon, nil},
		{"something held: go on there", session(stepQuery, nil), outcome{status: 204, held: 1000, size: -1}, stepChunk, func(u upload) bool { return u.offset == 1000 && u.resumed }},
		{"poisoned session: held as before, twice", session(stepQuery, func(u *upload) { u.resumed = true }), outcome{status: 204, held: 1000, size: -1}, stepAbandon, nil},
		{"Forgejo's range is off by one", session(stepQuery, func(u *upload) { u.offset = 1000 }), outcome{status: 204, held: 1001, size: -1}, stepChunk, func(u upload) bool { return u.offset == 1000 }},
		{"Forgejo's range of a whole blob", session(stepQuery, nil), outcome{status: 204, held: size + 1, size: -1}, stepCommit, func(u upload) bool { return u.offset == size }},
		{"an answer off by one after a chunk", session(stepChunk, func(u *upload) { u.chunk = 10 }), outcome{status: 202, held: 11, body: 10, size: -1}, stepChunk, func(u upload) bool { return u.offset == 10 }},
		{"session lost while asking", session(stepQuery, nil), answer(404, registry.ErrUploadUnknown), stepStart, func(u upload) bool { return u.location == "" }},
		{"session lost in a chunk", session(stepChunk, func(u *upload) { u.chunk = 10 }), answer(404, registry.ErrUploadUnknown), stepStart, nil},
		{"416 without a range: ask", session(stepChunk, func(u *upload) { u.chunk = 10 }), answer(416, nil), stepQuery, nil},
		{"400 to a resumed stream", session(stepChunk, func(u *upload) { u.resumed = true }), answer(400, nil), stepAbandon, nil},
		{"404 to a resumed session, as distribution says that it cannot go on", session(stepChunk, func(u *upload) { u.resumed = true }), answer(404, nil), stepAbandon, nil},
		{"404 at the end, of a session that nobody knows", session(stepCommit, nil), answer(404, registry.ErrOwnerUnknown), stepAbandon, nil},
		{"500 at the end: look first", session(stepCommit, nil), answer(500, registry.ErrServer), stepVerify, nil},
		{"it arrived after all", session(stepVerify, nil), ok(http.StatusOK), stepDone, nil},
		{"it did not arrive, session there", session(stepVerify, nil), answer(404, registry.ErrOwnerUnknown), stepQuery, nil},
		{"a wrong digest: once more", session(stepCommit, nil), answer(400, registry.ErrDigestMismatch), stepAbandon, nil},
		{"a wrong digest twice", session(stepCommit, func(u *upload) { u.mismatches = 1 }), answer(400, registry.ErrDigestMismatch), stepFailed, nil},
		{"a new session after cancelling", session(stepAbandon, nil), ok(http.StatusNoContent), stepStart, func(u upload) bool { return u.offset == 0 }},
		{"OCI-Chunk-Min-Length", func() upload { u := begin("", -1, 3, ways{chunk: 10}); return u }(), outcome{status: 202, location: "l", minChunk: 20, held: -1, size: -1}, stepChunk, func(u upload) bool { return u.part() == 20 }},
		{"OCI-Chunk-Min-Length above what a proxy takes", session(stepChunk, func(u *upload) { u.chunk, u.least, u.offset = 16<<20, 20<<20, 20<<20 }), func() outcome { o := answer(413, registry.ErrTooLarge); o.body = 20 << 20; return o }(), stepFailed, func(u upload) bool { return strings.Contains(u.err.Error(), "wants parts of at least") }},
		{"a stream of which nothing is held, and nothing is said", func() upload { u := stream; u.step, u.location = stepQuery, "l"; return u }(), ok(http.StatusNoContent), stepAbandon, func(u upload) bool { return u.offset == 0 }},
		{"201 to a chunk, of AWS ECR", session(stepChunk, chunked(10<<20)), outcome{status: 201, held: -1, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 20<<20 }},
		{"201 to a stream", func() upload { u := stream; u.step, u.location = stepStream, "l"; return u }(), outcome{status: 201, held: 100, body: 100, location: "l", digest: testDigest, size: 100}, stepCommit, nil},
		{"200 to a chunk is no registry's", session(stepChunk, chunked(10<<20)), bare(200), stepFailed, nil},
		{"the range of the last chunk alone, of zot", session(stepChunk, chunked(20<<20)), outcome{status: 202, held: 10 << 20, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 30<<20 }},
		{"the range 0-0, of GHCR", session(stepChunk, chunked(0)), outcome{status: 202, held: 1, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 10<<20 }},
		{"the range of the first chunk, of AWS ECR", session(stepChunk, chunked(20<<20)), outcome{status: 202, held: 10 << 20, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 30<<20 }},
		{"a part of the chunk was taken", session(stepChunk, chunked(20<<20)), outcome{status: 202, held: 25 << 20, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 25<<20 }},
		{"more than was sent", session(stepChunk, chunked(20<<20)), outcome{status: 202, held: 80 << 20, body: 10 << 20, size: -1}, stepChunk, func(u upload) bool { return u.offset == 30<<20 }},
		{"417: the same without Expect", session(stepCommit, nil), answer(417, nil), stepCommit, func(u upload) bool { return u.noExpect && u.failures == 0 && u.err == nil }},
		{"417 without Expect is final", session(stepCommit, func(u *upload) { u.noExpect = true }), answer(417, nil), stepFailed, nil},
		{"201 that names nothing: look", single, bare(201), stepVerify, func(u upload) bool { return u.claim != nil }},
		{"200 to the end that names nothing: look", session(stepCommit, nil), bare(200), stepVerify, func(u upload) bool { return u.claim != nil }},
		{"it is there as it was said", session(stepVerify, claimed), ok(200), stepDone, nil},
		{"what was said to be there is not", session(stepVerify, claimed), answer(404, registry.ErrOwnerUnknown), stepFailed, func(u upload) bool { return errors.Is(u.err, errUnnamed) }},
		{"what was said to be there cannot be seen to be", session(stepVerify, claimed), bare(200), stepFailed, func(u upload) bool { return errors.Is(u.err, errUnnamed) }},
		{"looking for what was said to be there fails for now", session(stepVerify, claimed), answer(503, registry.ErrServer), stepVerify, func(u upload) bool { return u.claim != nil && u.wait == backoff }},
		{"201 to a start without a digest", begin("", -1, 3, ways{}), bare(201), stepFailed, nil},
		{"200 to a look proves nothing", session(stepVerify, func(u *upload) { u.looking = true }), bare(200), stepCommit, func(u upload) bool { return !u.present }},
		{"looking is redirected", session(stepVerify, func(u *upload) { u.looking = true }), answer(307, registry.ErrRedirected), stepCommit, nil},
		{"looking is not allowed", session(stepVerify, func(u *upload) { u.looking = true }), answer(405, nil), stepCommit, nil},
		{"looking fails to the end: go on without", session(stepVerify, func(u *upload) { u.looking, u.failures = true, 3 }), answer(503, registry.ErrServer), stepCommit, nil},
		{"looking after a failure is redirected", session(stepVerify, nil), answer(307, registry.ErrRedirected), stepQuery, nil},

		{"cut at the same place twice: a silent limit", func() upload { u := single; u.lastCut = size / 2; return u }(), cut, stepStart, func(u upload) bool { return u.chunk > 0 && u.chunk < size/2 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := tc.from.next(tc.o)
			if got.step != tc.want {
				t.Fatalf("got %v, want %v", got.step, tc.want)
			}
			if tc.check != nil && !tc.check(got) {
				t.Errorf("unexpected state %+v", got)
			}
		})
	}
}

func TestRetryAfterReachesTheWait(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		for _, value := range []string{"7", date.Add(7 * time.Second).Format(http.TimeFormat)} {
			resp := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {value}, "Date": {date.Format(http.TimeFormat)}}, Body: http.NoBody}
			err := response.Error("upload blob", &http.Request{URL: &url.URL{}}, resp)
			got := begin(testDigest, 1, 3, ways{}).next(outcome{status: status, held: -1, size: -1, body: 1, err: err})
			if got.step != stepSingle || got.wait != 7*time.Second {
				t.Errorf("%d, %q: got %v after %v, want %v after 7s", status, value, got.step, got.wait, stepSingle)
			}
		}
	}
}

// impatient tells nobody and waits for nobody.
type impatient struct{}

func (impatient) retrying(upload, time.Duration) {}
func (impatient) turn(context.Context) error     { return nil }

// Whatever the registry answers, an upload ends.
func TestDriveEnds(t *testing.T) {
	t.Parallel()
	for _, status := range []int{0, 200, 201, 202, 204, 400, 401, 403, 404, 408, 413, 416, 429, 500, 502, 503, 504} {
		for _, held := range []int64{-1, 0, 5, 1 << 30} {
			requests := 0
			do := func(context.Context, upload) outcome {
				requests++
				o := outcome{status: status, held: held, location: "l", size: -1, body: 50 << 20, sent: 50 << 20}
				if status == 0 || status >= 400 {
					o.err = &registry.Error{Status: status}
				}
				if status == 0 {
					o.err = io.ErrUnexpectedEOF
				}
				if requests > 10000 {
					t.Fatalf("status %d, held %d: no end", status, held)
				}
				return o
			}
			u := begin(testDigest, 100<<20, 5, ways{})
			_, err := drive(t.Context(), u, do, func(int) time.Duration { return 0 }, impatient{})
			if err == nil && status >= 400 {
				t.Errorf("status %d, held %d: got success", status, held)
			}
		}
	}
}

// Gitea answers 500 to what goes on after a cut. What is told is the cut.
func TestCutIsTold(t *testing.T) {
	t.Parallel()
	do := func(_ context.Context, u upload) outcome {
		o := outcome{held: -1, size: -1, location: "l"}
		switch {
		case u.step == stepStart:
			o.status = http.StatusAccepted
		case u.step == stepCommit && u.offset == 0:
			o.err, o.body, o.sent = io.ErrUnexpectedEOF, 50<<20, 10<<20
		case u.step == stepQuery:
			o.status, o.held = http.StatusNoContent, 5<<20
		case u.step == stepAbandon:
			o.status = http.StatusNoContent
		default:
			o.status, o.err = http.StatusInternalServerError, &registry.Error{Status: http.StatusInternalServerError}
		}
		return o
	}
	_, err := drive(t.Context(), begin(testDigest, 50<<20, 3, ways{gitea: true}), do, func(int) time.Duration { return 0 }, impatient{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}
