// Package upload brings one blob into a repository, in a way that the registry takes,
// and tries as often as it is worth. What is sent, and who waits for it, are the
// caller's ([Job]); it knows neither images nor pushes.
//
// It takes a [Job] and gives whether the blob was there already; meanwhile it tells the
// [Observer]. It makes requests through package repo, and keeps sessions in the cache. Begin
// with upload.go, and then read machine.go.
//
//   - upload.go: what is asked for and what is told
//   - machine.go: what follows which answer, without any request; failure.go: what
//     follows a failure; drive.go: step after step to the end
//   - transfer.go: one step, which is one request; body.go: what it carries; find.go:
//     whether the blob is there
//   - limits.go: the ways in which a registry takes blobs; rate.go: how fast the user
//     lets them go out
package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	digest "github.com/opencontainers/go-digest"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/internal/cache"
	"github.com/docker-gitea/docker-gitea/registry/internal/repo"
	"github.com/docker-gitea/docker-gitea/registry/internal/response"
	"github.com/docker-gitea/docker-gitea/registry/internal/wire"
)

// Content is what is sent for one blob. It can be read from any offset as often as
// it takes.
type Content interface {
	// Complete gives digest and size, as soon as they are known.
	Complete() (digest.Digest, int64, bool)
	// Wait blocks until n bytes can be read, or all that there are, and
	// returns how many that is.
	Wait(ctx context.Context, n int64) (int64, error)
	// Reader reads from offset to the end, as that comes into being.
	Reader(ctx context.Context, offset int64) io.ReadCloser
	// Progress gives how many bytes of the source have been read, and how many
	// there will be of the content; 0 where nothing can be said.
	Progress() (consumed, estimate int64)
}

// Observer is told how an upload goes, and says what else goes on in its push. It
// is called from several goroutines.
type Observer interface {
	// Event is one of the blob, which the observer names.
	Event(e registry.Event)
	// Note is a sentence for the user that belongs to no blob.
	Note(text string)
	// Debug logs a failure that does not end the upload.
	Debug(ctx context.Context, what string, err error)
	// Sent counts bytes that went over the wire, those sent twice included.
	Sent(bytes int64)
	// Retried counts a step that is tried again.
	Retried()
	// Refused tells of a request that was too large, and reports whether another
	// was before, in the same push.
	Refused() (before bool)
	// Narrow lets fewer blobs of the push be under way; Width is how many may. Turn
	// waits, before a step is tried again, while there are more.
	Narrow()
	Width() int
	Turn(ctx context.Context) error
}

// Job is a blob to bring into a repository.
type Job struct {
	Repo repo.Repo
	// Name is what errors call the blob.
	Name    string
	Content Content
	// Digest and Size are those of the content; Size is -1 until both are known.
	Digest digest.Digest
	Size   int64
	// Session is where an earlier process left the upload. It is released.
	Session *cache.Session
	// Limits are those of the registry. Part, if it is not zero, bounds the body
	// of a request in their place, in bytes.
	Limits *Limits
	Part   int64
	// Info is that of the push, whose retries hold here.
	Info     *wire.RequestInfo
	Observer Observer
}

// Run does the job, and reports whether the registry had the blob. An error but that
// of ctx is a [*registry.UploadError].
func (j Job) Run(ctx context.Context) (present bool, err error) {
	t := &transfer{Job: j}
	defer j.Session.Release()
	u := begin(j.Digest, j.Size, j.Info.Retries, j.Limits.blobs(j.Part))
	t.limit = u.chunk
	if e, ok := j.Session.Known(j.Repo.Conn.Endpoint()); ok {
		u = u.resume(e.Location, e.Offset)
	}
	u, err = drive(ctx, u, t.attempt, j.Repo.Conn.Backoff, t)
	if u.slow && u.refusal == nil { // it closes the connection, and does not say why
		u.refusal = t.ended(http.StatusRequestTimeout, u.lastTook)
	}
	t.learn(u)
	if u.step == stepDone && !u.present {
		u.location = "" // the session has become the blob
	}
	if u.location == "" || !t.leave(ctx, u, err) {
		j.Session.Forget()
	}
	if err != nil {
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return false, err
		}
		d, size, _ := j.Content.Complete()
		return false, &registry.UploadError{Name: j.Name, Digest: d, Size: size, Attempts: u.tries, Err: u.refused(err)}
	}
	return u.present, nil
}

// refused is why an upload failed: where a request was refused for its size, or for the
// time that it took, and nothing has arrived since, that is why, though the connections
// of the smaller ones broke off. A proxy that answers early and closes loses its answer.
func (u upload) refused(err error) error {
	_, answered := errors.AsType[*registry.Error](err)
	if u.refusal == nil || u.offset > 0 || answered || errors.Is(err, registry.ErrSource) || !registry.Temporary(err) {
		return err
	}
	return fmt.Errorf("%w; smaller requests broke off: %s", u.refusal, err.Error())
}

// learn keeps what an upload found out, for the next ones.
func (t *transfer) learn(u upload) {
	limit := t.Limits.learn(u, t.Observer.Width())
	t.Limits.remember()
	if !limit {
		return
	}
	if u.refusal == nil && t.server != "" {
		u.refusal = t.ended(http.StatusRequestEntityTooLarge, 0)
	}
	d := registry.Diagnose(u.refusal)
	if d.Cause == "" {
		d = registry.Diagnosis{Cause: "something in front of the registry ends large requests", Hint: "look for its limit on request bodies, and its timeouts"}
	}
	fewer := ""
	if u.slow {
		fewer = fmt.Sprintf(", %d at a time", t.Observer.Width())
	}
	t.Observer.Note(fmt.Sprintf("%s; sending parts of at most %d MiB%s (%s)", d.Cause, u.chunk>>20, fewer, d.Hint))
}

// ended is the answer that should have come where a connection was closed instead. It
// has the server's name from the other answers.
func (t *transfer) ended(status int, after time.Duration) *registry.Error {
	e := &registry.Error{URL: t.Repo.StartAddress(nil), Status: status, After: after, By: registry.BySomebody, Server: t.server}
	e.Kind = response.ClassifyForeign(e)
	return e
}

// leave decides about the session of an upload that ended with err, or turned
// out not to be needed, and reports whether it is still there for another
// process. One that holds nothing, or that nobody would find, is removed.
func (t *transfer) leave(ctx context.Context, u upload, err error) bool {
	_, remembered := t.Session.Known(t.Repo.Conn.Endpoint())
	if remembered && err != nil && u.offset > 0 && outlasts(ctx, err) {
		return true
	}
	answered, err := t.Repo.Cancel(ctx, u.location, u.retries)
	if err != nil {
		t.Observer.Debug(ctx, "remove upload session", err)
	}
	return !answered && remembered
}

// outlasts reports whether an upload that ended with err should go on in
// another process: the network failed, or the server did, or a time limit was
// reached. A user's interrupt is none of these, nor is a failure for good.
func outlasts(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		err = context.Cause(ctx) // that of another blob, perhaps
	}
	return errors.Is(err, context.DeadlineExceeded) || registry.Temporary(err)
}
