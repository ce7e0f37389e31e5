package registry

import (
	"time"

	digest "github.com/opencontainers/go-digest"
)

// Status is the state of a blob or manifest during a push, in the words of
// `docker push`.
type Status string

// The states of a blob. A blob passes through them in this order, leaving out
// what does not apply; StatusRetrying leads back to an earlier one.
const (
	StatusWaiting     Status = "Waiting"
	StatusCompressing Status = "Compressing"
	StatusPushing     Status = "Pushing"
	StatusRetrying    Status = "Retrying"
	// StatusMounted, StatusExists, StatusPushed and StatusSkipped are final.
	// StatusMounted: the registry took the blob from the repository that it was
	// asked to take it from.
	StatusMounted Status = "Mounted"
	// StatusExists: the registry had the blob, and was sent none of it. Gitea
	// finds it in any of its packages, and does not say in which.
	StatusExists Status = "Layer already exists"
	StatusPushed Status = "Pushed"
	// StatusSkipped is what a dry run reports of a blob it would send.
	StatusSkipped Status = "Would push"
)

// Final reports whether no other state of the same blob follows.
func (s Status) Final() bool {
	switch s {
	case StatusMounted, StatusExists, StatusPushed, StatusSkipped:
		return true
	default:
		return false
	}
}

// Event is one step of a push. Events of one blob come in order; those of
// different blobs interleave.
type Event struct {
	// Name is what the event is about, unique within the push: a blob's place
	// in its source.
	Name string
	// ID is what to show of the blob, the same in all of its events: 12 digits
	// of its digest or diff ID, or the beginning of its name where neither is
	// known before it is read.
	ID string
	// Status is the state entered or, when it repeats, continued.
	Status Status
	// Current and Total are bytes: while StatusCompressing, of the layer as the
	// source has it, and otherwise as sent on the wire. Total is 0 while it is
	// unknown.
	Current, Total int64
	// Estimated says that Total is a guess, made of what has been compressed so
	// far.
	Estimated bool
	// Digest is that of the blob in the registry, with a final status.
	Digest digest.Digest
	// From is the repository that the blob was mounted from, with StatusMounted.
	From string
	// Wait is how long a retry waits, and Err why it is needed.
	Wait time.Duration
	Err  error
	// Note is a sentence for the user that belongs to no blob; all other
	// fields are then zero.
	Note string
}

// ProgressFunc receives the events of a push. It is called from several
// goroutines, one call at a time, and must return quickly.
type ProgressFunc func(Event)
