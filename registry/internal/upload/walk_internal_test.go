package upload

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

// walked is how many bytes the uploads of the walk send: a few chunks.
const walked = 2 << 20

// measure is what each step of an upload makes less, in the order of dictionaries.
// Each part is bounded from below, and the walk has a finite content: there is
// no endless upload.
func measure(u upload) []int64 {
	yes := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	chunk := u.chunk
	if chunk == 0 {
		chunk = 1 << 62 // no limit is known yet
	}
	return []int64{
		yes(!u.noExpect), yes(!u.noSingle), // what is still to be learned of the registry
		chunk,                         // a smaller request
		max(walked-u.best, 0),         // progress
		int64(u.retries - u.failures), // what may still fail without it
		yes(u.inherited),
		rank(u),
		walked - u.offset, // further in the content
	}
}

// rank is the order of the steps between two failures.
func rank(u upload) int64 {
	switch u.step {
	case stepVerify:
		switch {
		case u.looking && u.location == "":
			return 7
		case u.looking:
			return 5
		case u.claim != nil:
			return 2
		}
		return 10
	case stepQuery:
		return 9
	case stepAbandon:
		return 8
	case stepSingle, stepStart:
		return 6
	case stepStream, stepChunk:
		return 4
	case stepCommit:
		return 3
	case stepDone, stepFailed:
	}
	return 0
}

// answers are all that may come of u.step, up to what makes no difference.
func answers(u upload) []outcome {
	body := int64(0)
	switch u.step {
	case stepSingle:
		body = walked
	case stepCommit:
		body = u.size - u.offset
	case stepStream:
		body = walked
	case stepChunk:
		if body = walked - u.offset; u.chunk > 0 {
			body = min(body, u.part())
		}
		body = max(body, 0)
	case stepStart, stepQuery, stepVerify, stepAbandon, stepDone, stepFailed:
	}
	if u.step == stepChunk && body == 0 { // it makes no request
		return []outcome{{status: http.StatusAccepted, held: -1, digest: testDigest, size: walked}}
	}
	held := []int64{-1}
	if u.step == stepQuery || u.step == stepStream || u.step == stepChunk {
		held = []int64{-1, 0, 1, 1 << 20, walked + 1, 1 << 60}
	}
	var all []outcome
	for _, sent := range slices.Compact([]int64{0, body}) {
		for _, o := range statuses(u.step) {
			o.body, o.sent, o.size = body, sent, -1
			if u.step == stepStream {
				o.body = sent
			}
			if u.size >= 0 || sent == body && body > 0 {
				o.digest, o.size = testDigest, walked
			}
			for _, o.held = range held {
				all = append(all, o)
				if o.status == 0 || o.status >= 300 && u.step != stepQuery {
					break // it says nothing
				}
			}
		}
	}
	return all
}

// statuses are the answers without what they say of the content.
func statuses(s step) []outcome {
	all := []outcome{{err: io.ErrUnexpectedEOF}, {err: registry.ErrSource}, {err: registry.ErrDigestMismatch}}
	for _, status := range []int{200, 201, 202, 204} {
		all = append(all, outcome{status: status}, outcome{status: status, named: true})
		if s == stepSingle || s == stepStart {
			all = append(all, outcome{status: status, location: "l"}, outcome{status: status, location: "l", minChunk: 1536 << 10})
		}
	}
	all = append(all, outcome{status: http.StatusBadGateway, took: leastLimit, err: &registry.Error{Status: http.StatusBadGateway, By: registry.BySomebody, Kind: registry.ErrServer}})
	for status, kinds := range map[int][]error{
		307: {registry.ErrRedirected}, 400: {nil, registry.ErrDigestMismatch}, 401: {registry.ErrDenied}, 403: {registry.ErrDenied}, 404: {registry.ErrOwnerUnknown, registry.ErrUploadUnknown}, 405: {nil},
		413: {registry.ErrTooLarge, registry.ErrQuota}, 415: {nil}, 416: {nil}, 417: {nil}, 429: {registry.ErrRateLimited}, 408: {registry.ErrServer}, 499: {registry.ErrServer}, 500: {registry.ErrServer}, 503: {registry.ErrServer}, 504: {registry.ErrServer}, 524: {registry.ErrServer},
	} {
		for _, kind := range kinds {
			all = append(all, outcome{status: status, err: &registry.Error{Status: status, Kind: kind}})
		}
	}
	return all
}

// key leaves out of an upload what decides nothing about its end.
func key(u upload) upload {
	u.tries, u.wait, u.refusal, u.present = 0, 0, nil, false
	for _, err := range []*error{&u.err, &u.claim} {
		if *err != nil {
			*err = errUnnamed
		}
	}
	return u
}

// Every answer to every step brings an upload nearer to its end, and none lets it
// count from before the beginning.
func TestUploadEnds(t *testing.T) {
	t.Parallel()
	seen := map[upload]bool{}
	var queue []upload
	reach := func(u upload) {
		if k := key(u); !seen[k] && u.step != stepDone && u.step != stepFailed {
			seen[k] = true
			queue = append(queue, k)
		}
	}
	for _, w := range []ways{{noExpect: true}, {noExpect: true, gitea: true}, {noSingle: true}, {noExpect: true, noSingle: true, chunk: 3 << 19}} {
		reach(begin(testDigest, walked, 1, w))
		reach(begin("", -1, 1, w))
		reach(begin(testDigest, walked, 1, w).resume("l", 1<<20))
		reach(begin("", -1, 1, w).resume("l", walked+5))
	}
	steps := 0
	for len(queue) > 0 {
		u := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, o := range answers(u) {
			steps++
			got := u.next(o)
			if got.offset < 0 || got.size >= 0 && got.step == stepCommit && got.offset > got.size || got.location == "" && slices.Contains([]step{stepStream, stepChunk, stepCommit, stepQuery, stepAbandon}, got.step) {
				t.Fatalf("%v with %+v leads to %v at offset %d of %d, location %q", u.step, o, got.step, got.offset, got.size, got.location)
			}
			if got.step == stepDone && !o.named {
				t.Fatalf("%v with %+v ends well, though nothing names the content", u.step, o)
			}
			if got.step != stepDone && got.step != stepFailed && slices.Compare(measure(got), measure(u)) >= 0 {
				t.Fatalf("%v with %+v leads to %v, no nearer to the end:\n%v, was\n%v\n%s", u.step, o, got.step, measure(got), measure(u), fmt.Sprintf("%+v", u))
			}
			reach(got)
		}
	}
	t.Logf("%d states, %d steps", len(seen), steps)
}
