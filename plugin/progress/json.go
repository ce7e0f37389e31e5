package progress

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
)

// jsonLine is one line for programs. The fields are documented in
// docs/scripts.md and docs/progress.schema.json; they only become more.
type jsonLine struct {
	Time       time.Time `json:"time"`
	Repository string    `json:"repository,omitempty"`

	// Layer, ID, Status and what follows are those of a blob.
	Layer     string `json:"layer,omitempty"`
	ID        string `json:"id,omitempty"`
	Status    string `json:"status,omitempty"`
	Current   int64  `json:"current,omitempty"`
	Total     int64  `json:"total,omitempty"`
	Estimated bool   `json:"estimated,omitempty"`
	// Digest is that of a blob in the registry, once it is there.
	Digest string `json:"digest,omitempty"`
	// From is where the registry took the blob from.
	From string `json:"from,omitempty"`
	// Wait is in seconds.
	Wait float64 `json:"wait,omitempty"`

	// Message is a sentence that belongs to no blob.
	Message string `json:"message,omitempty"`

	// Error is why a blob is tried again or, in the last line, why the push
	// failed; that line has Cause and Hint where there is something to add.
	Error string `json:"error,omitempty"`
	Cause string `json:"cause,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

// jsonLines writes every change of a blob's state, and how far it is once a
// second.
type jsonLines struct {
	screen Screen
	now    func() time.Time
	blobs  map[string]*mentioned
}

// pace is how often a line tells of a blob whose state does not change.
const pace = time.Second

func newJSON(screen Screen, now func() time.Time) *jsonLines {
	return &jsonLines{screen: screen, now: now, blobs: map[string]*mentioned{}}
}

func (j *jsonLines) Event(e registry.Event) {
	now := j.now()
	line := jsonLine{Time: now.UTC(), Repository: j.screen.Repository}
	if e.Note != "" {
		line.Message = e.Note
		writeLine(j.screen, line)
		return
	}
	b := j.blobs[e.Name]
	if b == nil {
		b = &mentioned{}
		j.blobs[e.Name] = b
	}
	repeated := e.Status == b.event.Status && e.Status != registry.StatusRetrying
	b.update(e, now)
	if repeated && (!b.moving() || now.Sub(b.last) < pace) {
		return
	}
	b.last = now
	line.Layer, line.ID, line.Status = e.Name, e.ID, Name(e.Status)
	line.Current, line.Total, line.Estimated = b.event.Current, b.event.Total, b.event.Estimated
	line.Digest, line.From = e.Digest.String(), e.From
	line.Wait = e.Wait.Round(time.Millisecond).Seconds()
	if e.Err != nil {
		line.Error = e.Err.Error()
	}
	writeLine(j.screen, line)
}

func (j *jsonLines) Done() {}

// Failed writes the last line of a push that failed, in [ModeJSON].
func Failed(w io.Writer, message, cause, hint string) {
	writeLine(w, jsonLine{Time: time.Now().UTC(), Error: message, Cause: cause, Hint: hint})
}

// writeLine ignores errors: a push does not fail because nobody reads on.
func writeLine(w io.Writer, line jsonLine) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err == nil { // of strings and numbers, always
		_, _ = io.WriteString(w, out.String())
	}
}
